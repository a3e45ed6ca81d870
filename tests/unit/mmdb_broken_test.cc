// Files that are broken, hostile, or change under the reader's feet.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "geo/mmdb_file.h"
#include "geo/private_copy.h"
#include "mmdb_files.h"

namespace weir {
namespace {

using testing::fixture;
using testing::look_up;
using testing::mmdb_array;
using testing::mmdb_map;
using testing::mmdb_pointer;
using testing::mmdb_string;
using testing::MmdbFileBytes;
using testing::refusal;
using testing::repeat;
using testing::TemporaryDirectory;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Opens it, and looks up some addresses if it can be opened.
void try_out(const std::string& path) {
  std::unique_ptr<Database> database;
  weir_error_t error{};
  const weir_status_t status = open_country_mmdb(path.c_str(), nullptr, &database, &error);
  if (status != WEIR_OK) {
    EXPECT_TRUE(contains(error.text, '"' + path + '"')) << error.text;
    return;
  }
  for (const char* client : {"81.169.145.150", "168.126.63.1", "5.0.10.1", "1.2.3.4", "223.1.1.1",
                             "2a01:238::1", "2001:220::1", "2600::", "fe00::"}) {
    const std::string code = database->find_country(testing::address(client)).code;
    EXPECT_TRUE(code == "XX" || find_country(code) != nullptr) << code;
  }
}

TEST(BrokenMmdb, TheWriterOfTheseTestsWritesProperFiles) {
  const TemporaryDirectory directory;
  const auto database = testing::open(directory.write("a.mmdb", MmdbFileBytes().bytes()));
  EXPECT_EQ("DE EU 1", look_up(database, "1.2.3.4"));
}

TEST(BrokenMmdb, EmptyFileIsAnErrorThatNamesIt) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("empty.mmdb", "");
  EXPECT_TRUE(contains(refusal(path), '"' + path + "\" is empty"));
}

TEST(BrokenMmdb, TextIsAnErrorThatNamesIt) {
  const TemporaryDirectory directory;
  for (const std::string& text :
       {std::string("x"), std::string("<html>not found</html>\n"), std::string(300'000, 'a')}) {
    const std::string path = directory.write("text.mmdb", text);
    EXPECT_TRUE(contains(refusal(path), '"' + path + "\" is no .mmdb file"));
  }
}

TEST(BrokenMmdb, FileTruncatedAnywhereIsAnError) {
  const TemporaryDirectory directory;
  const std::string whole = testing::contents(fixture("maxmind"));
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const std::string path = directory.write("cut.mmdb", whole.substr(0, length));
    EXPECT_TRUE(contains(refusal(path), "truncated")) << length;
  }
}

TEST(BrokenMmdb, FileThatLacksItsMiddleIsAnErrorOrUnknown) {
  const TemporaryDirectory directory;
  const std::string whole = testing::contents(fixture("maxmind"));
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    try_out(directory.write("end.mmdb", whole.substr(whole.size() - length)));
  }
}

TEST(BrokenMmdb, NothingIsLostWhenTheOriginalIsTruncatedInPlace) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("a.mmdb", testing::contents(fixture("maxmind")));
  const auto database = testing::open(path);
  ASSERT_EQ(0, truncate(path.c_str(), 0));
  EXPECT_EQ("DE EU 1", look_up(database, "81.169.145.150"));
  EXPECT_EQ("KR AS 0", look_up(database, "168.126.63.1"));
  directory.write("a.mmdb", std::string(5000, 'x'));
  EXPECT_EQ("DE EU 1", look_up(database, "2a01:238::1"));
  ASSERT_EQ(0, unlink(path.c_str()));
  EXPECT_EQ("FR EU 1", look_up(database, "5.0.0.1"));
}

TEST(BrokenMmdb, FlippedBytesNeitherCrashNorHang) {
  const TemporaryDirectory directory;
  std::mt19937 random(20240229);  // fixed: a failure can be repeated
  for (const char* name : {"maxmind", "ip-location-db", "record-24", "record-32", "ipv4-only"}) {
    const std::string whole = testing::contents(fixture(name));
    for (int round = 0; round < 1000; ++round) {
      std::string broken = whole;
      const unsigned flips = 1 + random() % 8;
      for (unsigned i = 0; i < flips; ++i) {
        broken[random() % broken.size()] = static_cast<char>(random());
      }
      try_out(directory.write("flipped.mmdb", broken));
    }
  }
}

TEST(BrokenMmdb, FlippedMetadataNeitherCrashesNorHangs) {
  const TemporaryDirectory directory;
  const std::string whole = testing::contents(fixture("ip-location-db"));
  const std::size_t metadata = whole.rfind("MaxMind.com") + 11;
  for (std::size_t place = metadata; place < whole.size(); ++place) {
    for (const int bit : {0, 1, 3, 5, 6, 7}) {
      std::string broken = whole;
      broken[place] = static_cast<char>(broken[place] ^ (1 << bit));
      try_out(directory.write("flipped.mmdb", broken));
    }
  }
}

TEST(BrokenMmdb, DeeplyNestedRecordIsNoCountry) {
  const TemporaryDirectory directory;
  MmdbFileBytes file;
  file.data += mmdb_map(2) + mmdb_string("a") + repeat(mmdb_array(1), 2'000'000) +
               mmdb_string("country_code") + mmdb_string("KR");
  file.right = 17 + 17;  // the second record
  const auto database = testing::open(directory.write("a.mmdb", file.bytes()));
  EXPECT_EQ("DE EU 1", look_up(database, "1.2.3.4"));
  EXPECT_EQ("XX XX 0", look_up(database, "200.2.3.4"));
}

TEST(BrokenMmdb, DeeplyNestedMetadataIsAnError) {
  const TemporaryDirectory directory;
  MmdbFileBytes file;
  file.more_metadata = mmdb_string("a") + repeat(mmdb_array(1), 60'000) + mmdb_string("x");
  EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "metadata"));
}

TEST(BrokenMmdb, PointersThatMultiplyAreAnError) {
  // Every list holds the next one 16 times: 16^24 elements to whoever follows all of them.
  constexpr std::uint32_t kFirst = 5;          // behind the map, the key and the outer array
  constexpr std::uint32_t kSize = 2 + 16 * 5;  // of a list
  std::string lists = mmdb_array(24);
  for (std::uint32_t i = 1; i <= 24; ++i) {
    lists += mmdb_array(16) + repeat(mmdb_pointer(kFirst + kSize * i), 16);
  }
  MmdbFileBytes file;
  file.more_metadata = mmdb_string("a") + lists;
  file.languages = mmdb_pointer(kFirst);
  const TemporaryDirectory directory;
  EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "metadata"));
}

TEST(BrokenMmdb, LanguagesThatAreNoStringsAreAnError) {
  const TemporaryDirectory directory;
  for (const std::string& languages :
       {mmdb_array(1) + mmdb_array(0), mmdb_string("en"), mmdb_array(1) + mmdb_pointer(1 << 20)}) {
    MmdbFileBytes file;
    file.languages = languages;
    EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "metadata"));
  }
}

TEST(BrokenMmdb, TreeThatDoesNotFitIsAnError) {
  const TemporaryDirectory directory;
  // 0x2aaaaaab nodes of 6 bytes are 4 GiB and 2 bytes: little, to whoever counts in 32 bits.
  for (const std::uint32_t nodes : {1000u, 0x2aaaaaabu, 0x2aaaaaaau, 0xffffffffu}) {
    MmdbFileBytes file;
    file.node_count = nodes;
    for (const unsigned record_bits : {24u, 28u, 32u}) {
      file.record_bits = record_bits;
      for (const unsigned ip_version : {4u, 6u}) {
        file.ip_version = ip_version;
        EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "truncated"))
            << nodes << " of " << record_bits;
      }
    }
  }
}

TEST(BrokenMmdb, TreeThatLeadsBackToItselfIsAnError) {
  const TemporaryDirectory directory;
  MmdbFileBytes file;
  file.left = 0;
  const std::string path = directory.write("a.mmdb", file.bytes());
  EXPECT_TRUE(contains(refusal(path), '"' + path + "\" is a broken .mmdb file"));
  EXPECT_TRUE(contains(refusal(path), "deeper than an address is long"));
  file.right = 0;
  EXPECT_TRUE(contains(refusal(directory.write("b.mmdb", file.bytes())), "no country field"));
}

TEST(BrokenMmdb, TreeThatWouldTakeUpTooMuchMemoryIsAnError) {
  // Layers of nodes, each with two nodes of the next one or the one after it below, and at the end
  // the IPv4 part: every node stands at many depths, and is many nodes of a poptrie at each. 73 KB
  // would come to half a gigabyte.
  constexpr std::uint32_t kLayers = 90, kWidth = 100, kNodes = 1 + kLayers * kWidth + 96;
  MmdbFileBytes file;
  file.ip_version = 6;
  file.node_count = kNodes;
  file.left = kNodes - 96;  // 96 bits of 0
  file.right = 1;
  const auto node = [](std::uint32_t layer, std::uint32_t i) {
    return layer < kLayers ? 1 + layer * kWidth + i % kWidth : kNodes - 1;
  };
  for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
    for (std::uint32_t i = 0; i < kWidth; ++i) {
      const std::uint32_t step = i % 3 == 0 ? 2 : 1;
      file.more_nodes.push_back({node(layer + 1, 2 * i), node(layer + step, 2 * i + 1)});
    }
  }
  for (std::uint32_t i = kNodes - 96; i < kNodes - 1; ++i)
    file.more_nodes.push_back({i + 1, kNodes});
  file.more_nodes.push_back({kNodes, kNodes + 16});
  const TemporaryDirectory directory;
  const std::string path = directory.write("a.mmdb", file.bytes());
  const std::string why = refusal(path);
  EXPECT_TRUE(contains(why, '"' + path + "\" is a broken .mmdb file")) << why;
  EXPECT_TRUE(contains(why, "its tree is too large")) << why;
}

TEST(BrokenMmdb, LeafOutsideOfTheRecordsIsAnError) {
  const TemporaryDirectory directory;
  for (const std::uint32_t leaf : {2u, 16u, 5000u, 0xffffffu}) {  // 2..16: in the separator
    MmdbFileBytes file;
    file.left = leaf;
    const std::string expected = leaf <= 16 ? "between its tree and its data" : "beyond its data";
    EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), expected)) << leaf;
  }
}

TEST(BrokenMmdb, LeafInTheVeryLastBytesIsAnError) {
  // libmaxminddb takes the last 16 bytes for ones beyond the records.
  MmdbFileBytes file;
  const std::string record = mmdb_map(1) + mmdb_pointer(1) + mmdb_string("KR");
  file.left = 17 + static_cast<std::uint32_t>(file.bytes().size() - 6 - 16);
  const TemporaryDirectory directory;
  const std::string too_close = file.bytes() + record + std::string(16 - record.size(), '\0');
  EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", too_close)), "beyond its data"));
  const auto database = testing::open(directory.write("b.mmdb", too_close + '\0'));
  EXPECT_EQ("KR AS 0", look_up(database, "1.2.3.4"));
  EXPECT_EQ("DE EU 1", look_up(database, "200.2.3.4"));
}

TEST(BrokenMmdb, RecordThatPointsToItselfIsNoCountry) {
  const TemporaryDirectory directory;
  for (const std::string& loop :
       {mmdb_pointer(0), mmdb_map(1) + mmdb_string("country") + mmdb_pointer(0),
        mmdb_map(1) + mmdb_pointer(0) + mmdb_string("DE"),
        mmdb_map(1) + mmdb_string("country_code") + mmdb_pointer(14)}) {
    MmdbFileBytes file;
    file.data = loop;
    EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "no country field"));
  }
}

TEST(BrokenMmdb, RecordThatClaimsMillionsOfEntriesIsNoCountry) {
  const TemporaryDirectory directory;
  MmdbFileBytes file;
  file.data =
      std::string("\xff\xff\xff\xff", 4) + repeat(mmdb_string("a") + mmdb_array(0), 1'000'000);
  EXPECT_TRUE(contains(refusal(directory.write("a.mmdb", file.bytes())), "no country field"));
}

TEST(BrokenMmdb, RecordsThatShareTooManyValuesAreAnError) {
  // 512 records, each a pointer to the same large map without a country: 8 million values in 65 KB.
  constexpr std::uint32_t kLeaves = 512, kNodes = kLeaves - 1;
  MmdbFileBytes file;
  const std::uint32_t first = static_cast<std::uint32_t>(file.data.size());
  const std::uint32_t map = first + kLeaves * 5;
  file.data += repeat(mmdb_pointer(map), kLeaves) + std::string("\xfe\xff\xff", 3) +
               repeat(mmdb_string("") + mmdb_array(0), 16'000);
  file.node_count = kNodes;
  // A heap's numbers: below node i are 2i + 1 and 2i + 2, and those beyond the nodes are leaves.
  const auto record = [&](std::uint32_t i) {
    const std::uint32_t place = i == kNodes ? 0 : first + (i - kNodes) * 5;
    return i < kNodes ? i : kNodes + 16 + place;
  };
  file.left = record(1);
  file.right = record(2);
  for (std::uint32_t i = 1; i < kNodes; ++i)
    file.more_nodes.push_back({record(2 * i + 1), record(2 * i + 2)});
  const TemporaryDirectory directory;
  const std::string path = directory.write("a.mmdb", file.bytes());
  const std::string why = refusal(path, WEIR_INVALID, "country_code");
  EXPECT_TRUE(contains(why, '"' + path + "\" is a broken .mmdb file")) << why;
  EXPECT_TRUE(contains(why, "share too many values")) << why;
}

TEST(PrivateCopy, IsInMemoryAndCannotBeWritten) {
  PrivateCopy copy;
  ASSERT_EQ(WEIR_OK, copy.make(fixture("maxmind").c_str(), nullptr));
  EXPECT_EQ(PrivateCopy::Place::kMemory, copy.place());
  EXPECT_EQ(testing::contents(fixture("maxmind")), testing::contents(copy.name()));
  std::ofstream(copy.name(), std::ios::binary | std::ios::in | std::ios::out) << "x" << std::flush;
  EXPECT_NE(0, truncate(copy.name(), 0));
  EXPECT_EQ(testing::contents(fixture("maxmind")), testing::contents(copy.name()));
}

TEST(PrivateCopy, IsATemporaryFileWhereMemoryHasNoNameAndLeavesNothingBehind) {
  const TemporaryDirectory directory;
  ASSERT_EQ(0, setenv("TMPDIR", directory.path().c_str(), 1));
  {
    MmdbFile file;
    weir_error_t error{};
    ASSERT_EQ(WEIR_OK,
              file.open(fixture("maxmind").c_str(), &error, PrivateCopy::Place::kTemporaryFile))
        << error.text;
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
    EXPECT_TRUE(file.find_record(testing::address("81.169.145.150")));
  }
  ASSERT_EQ(0, setenv("TMPDIR", (directory.path() + "/nowhere").c_str(), 1));
  PrivateCopy copy;
  weir_error_t error{};
  EXPECT_EQ(WEIR_IO,
            copy.make(fixture("maxmind").c_str(), &error, PrivateCopy::Place::kTemporaryFile));
  EXPECT_TRUE(contains(error.text, "can't be copied")) << error.text;
  unsetenv("TMPDIR");
}

TEST(PrivateCopy, ClosesItsDescriptors) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = count();
  const auto database = testing::open(fixture("maxmind"));
  EXPECT_EQ(before, count());
  refusal(fixture("no-country"));
  EXPECT_EQ(before, count());
}

}  // namespace
}  // namespace weir
