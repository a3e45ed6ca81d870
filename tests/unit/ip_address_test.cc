#include "geo/ip_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

IpAddress address(const std::string& text) {
  std::uint8_t bytes[16];
  const bool is_ipv6 = text.find(':') != std::string::npos;
  EXPECT_EQ(1, inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes)) << text;
  return IpAddress::from_bytes(bytes, is_ipv6 ? 16 : 4);
}

TEST(IpAddress, OfAnotherLengthThanFourOrSixteenIsNone) {
  const std::uint8_t bytes[17] = {1, 2, 3};
  for (std::size_t length = 0; length <= 17; ++length) {
    if (length == 4 || length == 16) continue;
    EXPECT_EQ(0, IpAddress::from_bytes(bytes, length).length) << length;
    EXPECT_EQ(IpAddress{}, IpAddress::from_bytes(bytes, length)) << length;
  }
  EXPECT_EQ(0, IpAddress::from_bytes(nullptr, 0).length);
}

TEST(IpAddress, Ipv4MappedIsItsIpv4Address) {
  EXPECT_EQ(address("1.2.3.4"), address("::ffff:1.2.3.4"));
  EXPECT_EQ(4, address("::ffff:1.2.3.4").length);
}

TEST(IpAddress, OnlyTheMappedPrefixMakesAnIpv4Address) {
  for (const char* text :
       {"::1.2.3.4", "::fffe:1.2.3.4", "1::ffff:1.2.3.4", "::ffff:0:1.2.3.4", "64:ff9b::1.2.3.4"}) {
    EXPECT_EQ(16, address(text).length) << text;
  }
}

TEST(IpAddress, OfANumberIsItsLowestBits) {
  const Wide number = Wide{0x2001'0db8'0000'0001} << 64 | 0x0002'0003'0102'0304;
  EXPECT_EQ(address("2001:db8:0:1:2:3:102:304"), IpAddress::from_number(number, 128));
  EXPECT_EQ(address("1.2.3.4"), IpAddress::from_number(number, 32));
  EXPECT_EQ(address("1.2.3.4"), IpAddress::from_number(Wide{0xffff'0102'0304}, 128));
}

TEST(IpAddress, MaskClearsAllBitsBehindThePrefix) {
  EXPECT_EQ(address("255.255.255.255"), address("255.255.255.255").masked(32));
  EXPECT_EQ(address("255.255.255.254"), address("255.255.255.255").masked(31));
  EXPECT_EQ(address("255.255.255.0"), address("255.255.255.255").masked(24));
  EXPECT_EQ(address("255.255.224.0"), address("255.255.255.255").masked(19));
  EXPECT_EQ(address("128.0.0.0"), address("255.255.255.255").masked(1));
  EXPECT_EQ(address("0.0.0.0"), address("255.255.255.255").masked(0));
  EXPECT_EQ(address("2001:db8:1:2::"), address("2001:db8:1:2:3:4:5:6").masked(64));
  EXPECT_EQ(address("2001:db8:1:2:8000::"), address("2001:db8:1:2:ffff:4:5:6").masked(65));
  EXPECT_EQ(address("2001:db8::6"), address("2001:db8::6").masked(128));
  EXPECT_EQ(address("2001:db8::6"), address("2001:db8::7").masked(127));
}

TEST(IpAddress, MaskBeyondTheLengthChangesNothing) {
  EXPECT_EQ(address("1.2.3.255"), address("1.2.3.255").masked(33));
  EXPECT_EQ(address("1.2.3.255"), address("1.2.3.255").masked(128));
  EXPECT_EQ(address("1::ff"), address("1::ff").masked(1000));
  EXPECT_EQ(IpAddress{}, IpAddress{}.masked(0));
}

TEST(IpAddress, MaskMatchesABitByBitReference) {
  const IpAddress full = address("fedc:ba98:7654:3210:89ab:cdef:123:4567");
  for (unsigned prefix = 0; prefix <= 128; ++prefix) {
    IpAddress expected = full;
    for (unsigned bit = prefix; bit < 128; ++bit) {
      expected.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
    }
    EXPECT_EQ(expected, full.masked(prefix)) << prefix;
  }
}

// The first and the last address of every range, and their neighbours outside of it.
struct Range {
  const char* before;
  const char* first;
  const char* last;
  const char* after;
};

constexpr Range kReserved[] = {
    {nullptr, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "255.255.255.255", nullptr},
    {nullptr, "::", "::1", "::2"},
    {"64:ff9b::ffff:ffff", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:2::"},
    {"ff:ffff:ffff:ffff::", "100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::"},
    {"2001:1:ffff::", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "2001:2:1::"},
    {"2001:f:ffff::", "2001:10::", "2001:1f:ffff::", "2001:20::"},
    {"2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"3ffe:ffff::", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
    {"5eff:ffff::", "5f00::", "5f00:ffff::ffff", "5f01::"},
    {"fbff:ffff::", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"},
    {"fe7f:ffff::", "fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
    {nullptr, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nullptr},
};

TEST(IpAddress, PrivateAndReservedRangesAreReservedToTheirEdges) {
  for (const Range& range : kReserved) {
    EXPECT_TRUE(address(range.first).is_reserved()) << range.first;
    EXPECT_TRUE(address(range.last).is_reserved()) << range.last;
    if (range.before != nullptr) {
      EXPECT_FALSE(address(range.before).is_reserved()) << range.before;
    }
    if (range.after != nullptr) {
      EXPECT_FALSE(address(range.after).is_reserved()) << range.after;
    }
  }
}

TEST(IpAddress, PublicAddressesAreNotReserved) {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "168.126.63.1", "81.169.145.150", "192.1.2.3",
                           "198.52.0.1", "203.0.0.1", "2001:4860:4860::8888", "2a01:238::1",
                           "2400::1", "2002:102:304::", "2620::1", "64:ff9b::8.8.8.8", "2001::1"}) {
    EXPECT_FALSE(address(text).is_reserved()) << text;
  }
}

TEST(IpAddress, MappedPrivateAddressIsReserved) {
  EXPECT_TRUE(address("::ffff:10.1.2.3").is_reserved());
  EXPECT_FALSE(address("::ffff:8.8.8.8").is_reserved());
}

TEST(IpAddress, NoneIsNotReserved) { EXPECT_FALSE(IpAddress{}.is_reserved()); }

}  // namespace
}  // namespace weir
