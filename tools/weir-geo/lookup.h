// weir-geo lookup: the countries of addresses, or other fields, as the nginx module finds them.

#pragma once

#include <string>
#include <vector>

#include "command.h"
#include "fields.h"

namespace weir::tool {

// Without fields, countries. "-" among the addresses stands for the lines of standard input.
ExitCode lookup(const Options& options, const Fields& fields,
                const std::vector<std::string>& addresses);

}  // namespace weir::tool
