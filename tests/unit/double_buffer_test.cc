// Data that is replaced while it is read.

#include "geo/double_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace weir {
namespace {

constexpr std::size_t kSlot = 3 * DoubleBuffer::kAlignment;

class DoubleBufferTest : public ::testing::Test {
 protected:
  static std::size_t size() { return DoubleBuffer::size_of_memory(kSlot); }
  static std::vector<std::uint64_t> data(std::uint64_t word, std::size_t count = 8) {
    return std::vector<std::uint64_t>(count, word);
  }
  std::uint64_t first_word(std::uint64_t generation) const {
    return *static_cast<const std::uint64_t*>(buffer_.slot(generation));
  }

  alignas(DoubleBuffer::kAlignment) std::uint8_t memory_[DoubleBuffer::kAlignment + 2 * kSlot] = {};
  DoubleBuffer buffer_ = DoubleBuffer::format(memory_, sizeof(memory_));
};

TEST_F(DoubleBufferTest, HoldsTwoOfTheSizeThatWasAskedFor) {
  EXPECT_EQ(sizeof(memory_), size());
  EXPECT_EQ(kSlot, buffer_.slot_size());
  EXPECT_EQ(size(), DoubleBuffer::size_of_memory(kSlot - 1));
}

TEST_F(DoubleBufferTest, IsFoundOnlyWhereItWasPrepared) {
  EXPECT_TRUE(DoubleBuffer::attach(memory_, sizeof(memory_)));
  EXPECT_FALSE(DoubleBuffer::attach(memory_, sizeof(memory_) - 1));
  EXPECT_FALSE(DoubleBuffer::attach(memory_, 8));
  memory_[0] ^= 1;
  EXPECT_FALSE(DoubleBuffer::attach(memory_, sizeof(memory_)));
}

TEST_F(DoubleBufferTest, NothingIsPublishedAtFirst) {
  EXPECT_EQ(0u, buffer_.generation());
  EXPECT_TRUE(buffer_.holds(0));
}

TEST_F(DoubleBufferTest, EveryViewSeesWhatWasPublishedLast) {
  const auto other = DoubleBuffer::attach(memory_, sizeof(memory_));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(buffer_.publish(data(i)));
    EXPECT_EQ(i, other->generation());
    EXPECT_EQ(i, first_word(other->generation()));
    EXPECT_TRUE(other->holds(i));
  }
}

TEST_F(DoubleBufferTest, AReaderMayGoOnWithTheLastGeneration) {
  buffer_.publish(data(1));
  buffer_.publish(data(2));
  EXPECT_EQ(1u, first_word(1));
  EXPECT_TRUE(buffer_.holds(1));
}

TEST_F(DoubleBufferTest, AReaderNoticesThatItsSlotWasWrittenTo) {
  buffer_.publish(data(1));
  buffer_.publish(data(2));
  buffer_.publish(data(3));
  EXPECT_FALSE(buffer_.holds(1));
  EXPECT_TRUE(buffer_.holds(2));
}

TEST_F(DoubleBufferTest, AReaderOfNothingNoticesToo) {
  buffer_.publish(data(1));
  buffer_.publish(data(2));
  EXPECT_FALSE(buffer_.holds(0));
}

TEST_F(DoubleBufferTest, WhatDoesNotFitChangesNothing) {
  buffer_.publish(data(1));
  EXPECT_FALSE(buffer_.publish(data(2, kSlot / 8 + 1)));
  EXPECT_EQ(1u, buffer_.generation());
  EXPECT_TRUE(buffer_.publish(data(2, kSlot / 8)));
  EXPECT_EQ(1u, first_word(1));
}

}  // namespace
}  // namespace weir
