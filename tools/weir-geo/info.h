// weir-geo info: what a database is, and what its countries compile to.

#pragma once

#include "command.h"

namespace weir::tool {

ExitCode info(const Options& options);

}  // namespace weir::tool
