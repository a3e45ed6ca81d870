// What `weir-geo verify` says of disagreements. No file brings one about, unless weir is wrong.

#include <gtest/gtest.h>

#include <sstream>

#include "verify.h"

namespace weir::tool {
namespace {

CountryVerification disagreeing(std::uint64_t disagreements) {
  const std::uint8_t ipv4[] = {192, 0, 2, 1};
  const std::uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8};
  CountryVerification result;
  result.networks = 5;
  result.addresses = 20;
  result.known = 12;
  result.disagreements = disagreements;
  result.first = {{IpAddress::from_bytes(ipv4, 4), {"DE", "EU", 1, 0}, {"US", "NA", 0, 0}},
                  {IpAddress::from_bytes(ipv6, 16), {"XX", "XX", 0, 0}, {"KR", "AS", 0, 0}}};
  return result;
}

TEST(VerifyReport, DisagreementsAreNamedAndMakeTheExitCode) {
  std::ostringstream out;
  EXPECT_EQ(1, report(disagreeing(2), false, out));
  EXPECT_EQ(
      "networks compared     5\n"
      "addresses compared    20\n"
      "with a known country  12\n"
      "disagreements         2\n"
      "  192.0.2.1: libmaxminddb has \"DE EU EU\", the table \"US NA -\"\n"
      "  2001:db8::: libmaxminddb has \"XX XX -\", the table \"KR AS -\"\n",
      out.str());
}

TEST(VerifyReport, MoreThanAreNamedAreSaidToBeMore) {
  std::ostringstream out;
  EXPECT_EQ(1, report(disagreeing(3), false, out));
  EXPECT_TRUE(out.str().ends_with("\"KR AS -\"\n  ...\n")) << out.str();
}

TEST(VerifyReport, JsonHasBothOpinions) {
  std::ostringstream out;
  CountryVerification result = disagreeing(2);
  result.first.pop_back();
  result.repetitions_left_out = 7;
  EXPECT_EQ(1, report(result, true, out));
  EXPECT_EQ(R"({"networks": 5, "repetitions_left_out": 7, "addresses": 20, "known": 12, )"
            R"("disagreements": 2, "first_disagreements": [{"address": "192.0.2.1", )"
            R"("libmaxminddb": {"country": "DE", "continent": "EU", "eu": true}, )"
            R"("table": {"country": "US", "continent": "NA", "eu": false}}]})"
            "\n",
            out.str());
}

TEST(VerifyReport, WhatWasLeftOutIsSaid) {
  std::ostringstream out;
  CountryVerification result;
  result.repetitions_left_out = 7;
  EXPECT_EQ(0, report(result, false, out));
  EXPECT_NE(std::string::npos, out.str().find("repetitions left out  7\n")) << out.str();
}

}  // namespace
}  // namespace weir::tool
