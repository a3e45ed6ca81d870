// weir-geo verify: does the compiled table say what libmaxminddb says?

#pragma once

#include <ostream>

#include "command.h"
#include "geo/country_verifier.h"

namespace weir::tool {

ExitCode verify(const Options& options);

// Prints what came out, and makes the exit code of it.
ExitCode report(const CountryVerification& result, bool json, std::ostream& out);

}  // namespace weir::tool
