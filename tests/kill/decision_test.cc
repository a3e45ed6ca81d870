// Each kind of decision, killed at every instruction: what it may leave behind.
// What is checked after each kill stands in killed_decision.h.

#include "kill/killed_decision.h"

namespace weir {
namespace {

using test::kCapacity;
using test::KeyWords;
using test::Snapshot;

class KilledAtEveryInstruction : public test::KilledDecisionTest {};

TEST_F(KilledAtEveryInstruction, AHitLosesAtMostItsToken) {
  spend(key_, 1);
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, ARejectionWritesNothing) {
  spend(key_, kCapacity);
  const Snapshot before = lines();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  [&] { EXPECT_TRUE(before.is_unchanged()); });
  EXPECT_EQ(states(), (States{"live 0 left"}));
}

TEST_F(KilledAtEveryInstruction, AnInsertionLeavesNothingOrAClaimOrItsCharge) {
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AKeyThatComesBackLeavesADeadWordOrAClaimOrItsCharge) {
  take(handle_, key_.name);
  let_time_pass();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"dead 4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AnEvictionLeavesNothingOrAClaimOrItsCharge) {
  fill_lines();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterThatGivesWayToAnEarlierClaimLosesAtMostItsToken) {
  choose_key(true);
  const uint64_t claim = claim_of_a_dead_writer();
  const size_t earlier = words().free().front();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    ASSERT_LT(earlier, mine);
                    words().set(earlier, claim);
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim claim 4 left", "claim 4 left", "live 3 left"}));
  EXPECT_EQ(words().live(), KeyWords::Indices{earlier});
}

TEST_F(KilledAtEveryInstruction, AWriterThatClearsALaterClaimLosesAtMostItsToken) {
  const uint64_t claim = claim_of_a_dead_writer();
  const size_t later = words().free().back();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    ASSERT_GT(later, mine);
                    words().set(later, claim);
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim claim 4 left", "claim 4 left", "live 3 left"}));
  EXPECT_EQ(words()[later], 0u);
}

TEST_F(KilledAtEveryInstruction, AWriterThatGivesWayToALiveWordLosesAtMostItsToken) {
  const uint64_t charge = charge_of_another();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t) {
                    words().set(words().free().back(), charge);
                    key_.spent = 1;
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim live 3 left", "live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterWhoseClaimAnotherTakesOverLosesAtMostItsToken) {
  const uint64_t charge = charge_of_another();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    words().set(mine, charge);
                    key_.spent = 1;
                  }));
  EXPECT_EQ(states(), (States{"4 left", "live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterWhoseClaimAnotherClearsLosesAtMostItsToken) {
  unsigned cleared = 0;
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    words().set(mine, 0);
                    ++cleared;
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
  EXPECT_EQ(cleared, 1u);
}

TEST_F(KilledAtEveryInstruction, TakingOverADeadWritersClaimLosesAtMostTheToken) {
  const uint64_t claim = claim_of_a_dead_writer();
  words().set(words().free().front(), claim);
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, ARefundGivesBackTheWholeTokenOrNothing) {
  spend(key_, 1);
  weir_limit_t limit{};
  const weir_clock_t clock = clock_.handle();
  kill_everywhere(
      [&](const auto&) {
        weir_refund(&limit, &clock);
        return 0;
      },
      [] {},
      [&](const auto& zone) {
        limit = limit_on(zone, key_);
        weir_decide(&limit, 1, &clock, nullptr);
      });
  EXPECT_EQ(states(), (States{"live 2 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, TwoLimitsLoseAtMostOneTokenEach) {
  const Key second{new_name()};
  keys_.push_back(&second);
  kill_everywhere([&](const auto& zone) {
    return decide({limit_on(zone, key_), limit_on(zone, second)});
  });
  EXPECT_EQ(states(), (States{"4 left 4 left", "claim 4 left 4 left", "live 3 left 4 left",
                              "live 3 left 3 left"}));
}

TEST_F(KilledAtEveryInstruction, TwoLimitsOfWhichOneIsUsedUpWriteNothing) {
  Key second{new_name()};
  keys_.push_back(&second);
  spend(second, kCapacity);
  const Snapshot before = lines();
  kill_everywhere(
      [&](const auto& zone) {
        return decide({limit_on(zone, key_), limit_on(zone, second)});
      },
      [&] { EXPECT_TRUE(before.is_unchanged()); });
  EXPECT_EQ(states(), (States{"4 left 0 left"}));
}

TEST_F(KilledAtEveryInstruction, TwoLimitsOfWhichTheSecondRejectsLoseAtMostOneToken) {
  Key second{new_name()};
  keys_.push_back(&second);
  kill_everywhere(
      [&](const auto& zone) {
        return decide({limit_on(zone, key_), limit_on(zone, second)});
      },
      [&] {
        // Both have been looked up, and the first is charged.
        if (!words().live().empty() && second.spent == 0) spend(second, kCapacity);
      });
  EXPECT_EQ(states(), (States{"4 left 4 left", "claim 4 left 4 left", "live 3 left 0 left",
                              "dead 4 left 0 left"}));
}

TEST_F(KilledAtEveryInstruction, ASweepLosesNothing) {
  take(handle_, key_.name);
  for (unsigned i = 0; i < 4; ++i) take(handle_, new_name());
  let_time_pass();
  const weir_clock_t clock = clock_.handle();
  kill_everywhere([&](const auto& zone) {
    for (uint64_t line = 0; line < zone->slots() / kLineWords; ++line) {
      weir_zone_sweep(zone.get(), &clock);
    }
    return 0;
  });
  EXPECT_EQ(states(), (States{"dead 4 left", "4 left"}));
}

// ---- Sliding windows ----

// A second into the last window before their numbers come round to 0.
class KilledAtEveryInstructionOfAWindow : public test::KilledDecisionTest {
 protected:
  KilledAtEveryInstructionOfAWindow() : KilledDecisionTest(window()) {}

  static Setting window() {
    const Quota quota{kCapacity, kPeriod, 0};
    Setting setting;
    test::must(choose_format(WEIR_SLIDING_WINDOW, {&quota, 1}, &setting.format, nullptr) == WEIR_OK,
               "choose_format");
    test::must(make_budget(quota, setting.format, &setting.budget, nullptr) == WEIR_OK,
               "make_budget");
    setting.start = (uint64_t{SlidingWindow::kWindows - 1} * kPeriod + 1) * 1'000'000'000;
    return setting;
  }

  // Into the next window, where what this one has counted has just begun to fade: a token less.
  void roll() {
    clock_.advance_seconds(kPeriod);
    take(handle_, neighbour_);
    if (key_.spent > 0) --key_.spent;
  }

  static constexpr uint32_t kPeriod = 3600;
};

TEST_F(KilledAtEveryInstructionOfAWindow, AHitLosesAtMostItsToken) {
  spend(key_, 1);
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstructionOfAWindow, AnInsertionLeavesNothingOrAClaimOrItsCharge) {
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstructionOfAWindow, ARollLosesAtMostItsToken) {
  spend(key_, 3);
  roll();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"live 2 left", "live 1 left"}));
}

TEST_F(KilledAtEveryInstructionOfAWindow, ARejectionAfterARollWritesNothing) {
  spend(key_, kCapacity);
  roll();
  spend(key_, 1);
  const Snapshot before = lines();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  [&] { EXPECT_TRUE(before.is_unchanged()); });
  EXPECT_EQ(states(), (States{"live 0 left"}));
}

TEST_F(KilledAtEveryInstructionOfAWindow, AKeyThatComesBackLeavesADeadWordOrAClaimOrItsCharge) {
  take(handle_, key_.name);
  let_time_pass();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"dead 4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstructionOfAWindow, ARefundGivesBackTheWholeTokenOrNothing) {
  spend(key_, 1);
  weir_limit_t limit{};
  const weir_clock_t clock = clock_.handle();
  kill_everywhere(
      [&](const auto&) {
        weir_refund(&limit, &clock);
        return 0;
      },
      [] {},
      [&](const auto& zone) {
        limit = limit_on(zone, key_);
        weir_decide(&limit, 1, &clock, nullptr);
      });
  EXPECT_EQ(states(), (States{"live 2 left", "live 3 left"}));
}

}  // namespace
}  // namespace weir
