// weir-geo lookup: the countries of addresses, as the nginx module finds them.

#pragma once

#include <string>
#include <vector>

#include "command.h"

namespace weir::tool {

// "-" among the addresses stands for the lines of standard input.
ExitCode lookup(const Options& options, const std::vector<std::string>& addresses);

}  // namespace weir::tool
