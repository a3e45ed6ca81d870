// Readers of a double buffer while others publish, one after the other: nobody ever sees a mixture
// of two generations, or an older one after a newer. Writers that are killed change nothing of
// that.

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <new>
#include <optional>
#include <random>
#include <vector>

#include "geo/double_buffer.h"
#include "geo/published_database.h"
#include "relaxed.h"
#include "support/actors.h"
#include "support/zone_memory.h"

namespace weir {
namespace {

using test::Crew;
using test::SharedMemory;

constexpr std::size_t kWords = 512;
constexpr std::uint64_t kGenerations = 20'000;

// A view of words that are all the same. Its info tells which, and how many are others.
class Stamps {
 public:
  static std::optional<Stamps> open(const void* memory, std::size_t) noexcept {
    return Stamps(static_cast<const std::uint64_t*>(memory));
  }
  DatabaseInfo info() const noexcept {
    DatabaseInfo info{.build_epoch = load_relaxed(words_[0]), .networks = 0, .type = {}};
    for (std::size_t i = 1; i < kWords; ++i)
      info.networks += load_relaxed(words_[i]) != info.build_epoch;
    return info;
  }
  Country find_country(const IpAddress&) const noexcept { return kUnknownCountry; }
  std::size_t find_field(const IpAddress&, const FieldPath&, std::span<char>) const noexcept {
    return 0;
  }

 private:
  explicit Stamps(const std::uint64_t* words) : words_(words) {}
  const std::uint64_t* words_;
};

class Publishing : public testing::TestWithParam<Crew> {
 protected:
  struct Board {
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> mixtures{0}, backward{0}, updates{0}, empty{0};
  };

  DoubleBuffer buffer() const { return *DoubleBuffer::attach(memory_.address(), kSize); }

  void publish_next() const {
    const std::uint64_t next = buffer().generation() + 1;
    buffer().publish(std::vector<std::uint64_t>(kWords, next));
  }

  void read_until_over() const {
    const PublishedDatabase<Stamps> database(buffer());
    std::uint64_t last = 1;
    while (!board_.is_over.load()) {
      const DatabaseInfo info = database.info();
      board_.mixtures += info.networks != 0;
      // Who was overtaken again and again has given up; the next time it asks anew.
      board_.empty += info.build_epoch == 0;
      if (info.build_epoch == 0) continue;
      board_.backward += info.build_epoch < last;
      board_.updates += info.build_epoch > last;
      last = info.build_epoch;
    }
  }

  static constexpr std::size_t kSize = DoubleBuffer::kAlignment * 3;
  static_assert(kWords * 8 <= DoubleBuffer::kAlignment);

  SharedMemory memory_{kSize};
  SharedMemory shared_{sizeof(Board)};
  DoubleBuffer prepared_ = DoubleBuffer::format(memory_.address(), kSize);
  Board& board_ = *new (shared_.address()) Board;
};

TEST_P(Publishing, NobodySeesAMixtureOrGoesBackInTime) {
  publish_next();
  EXPECT_TRUE(test::run_together(GetParam(), [&](unsigned me) {
    if (me != 0) return read_until_over();
    for (std::uint64_t i = 0; i < kGenerations || board_.updates < 100; ++i) publish_next();
    board_.is_over = true;
  }));
  EXPECT_EQ(0u, board_.mixtures);
  EXPECT_EQ(0u, board_.backward);
}

INSTANTIATE_TEST_SUITE_P(, Publishing, testing::ValuesIn(test::kCrews),
                         [](const auto& instance) { return instance.param.name(); });

using KilledPublishers = Publishing;

TEST_P(KilledPublishers, HurtNoReaderAndNoSuccessor) {
  constexpr unsigned kKills = 200;
  publish_next();
  std::vector<pid_t> readers;
  for (unsigned i = 1; i < GetParam().size; ++i)
    readers.push_back(test::spawn([&] { read_until_over(); }));

  std::minstd_rand random(42);
  for (unsigned i = 0; i < kKills; ++i) {
    const std::uint64_t before = buffer().generation();
    const pid_t writer = test::spawn([&] {
      for (;;) publish_next();
    });
    while (buffer().generation() < before + 1 + random() % 50) sched_yield();
    kill(writer, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
  }
  publish_next();
  board_.is_over = true;
  EXPECT_TRUE(test::end_well(readers));
  EXPECT_EQ(0u, board_.mixtures);
  EXPECT_EQ(0u, board_.backward);
  EXPECT_GT(board_.updates, 10u);
  EXPECT_EQ(0u, PublishedDatabase<Stamps>(buffer()).info().networks);
}

INSTANTIATE_TEST_SUITE_P(, KilledPublishers,
                         testing::Values(Crew{Crew::kProcesses, 2}, Crew{Crew::kProcesses, 4}),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace
}  // namespace weir
