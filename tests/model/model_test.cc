// The table under the model checker Relacy: the production code with narrow lines, in every
// situation of scenarios.h.
//
// Exhaustive runs take every order of steps with so many preemptions at most, with every value that
// the C++ memory model lets a load return, every place to stop at, and every leap of the clock.
// Random runs take three actors, two of which may stop, and two leaps.
//
// WEIR_MODEL says how much: "quick" (default: seconds), "long" (minutes, a million random
// executions), "thorough" (hours, a hundred million), "mutant" (what check-mutants needs).

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <ostream>
#include <streambuf>
#include <string>

#include "model/scenarios.h"
#include "zone/table.h"

namespace weir::model {
namespace {

using NarrowTable = Table<Gcra, RelacyAtomics, 1, 2>;
using WiderTable = Table<Gcra, RelacyAtomics, 2, 2>;

struct Effort {
  unsigned still;            // preemptions of two actors, nobody stops, time stands still
  unsigned stops_or_leaps;   // the same with either
  unsigned stops_and_leaps;  // with both
  unsigned three;            // of three actors
  unsigned three_stops;      // of three actors, one of which may stop
  uint64_t random;           // executions in each situation
};

Effort effort() {
  const char* asked = std::getenv("WEIR_MODEL");
  const std::string how = asked != nullptr ? asked : "quick";
  if (how == "quick") return {4, 2, 1, 1, 1, 2'000};
  if (how == "mutant") return {4, 3, 2, 2, 1, 20'000};
  if (how == "long") return {5, 3, 2, 2, 2, 60'000};
  if (how == "thorough") return {6, 4, 4, 4, 3, 6'000'000};
  std::cerr << "WEIR_MODEL is \"" << how << "\", expected quick, long, thorough or mutant\n";
  std::abort();
}

// What Relacy prints, as far as it fits. A stream that allocated would do so while Relacy's own
// operator new is in force, and free when it no longer is.
class Said : public std::streambuf {
 public:
  Said() { setp(text_.data(), text_.data() + text_.size()); }
  std::string text() const {
    const std::string all(pbase(), pptr());
    return all.substr(0, all.find("\nthread 0:"));  // from there on, the same by actor
  }

 private:
  static inline std::array<char, 1 << 20> text_;
};

template <class Table, unsigned kActors>
class Checker {
  using Model = TableModel<Table, kActors>;

 public:
  // Every order with up to `preemptions` preemptions.
  static void check_all(const Scenario& scenario, unsigned preemptions) {
    rl::test_params params;
    params.search_type = rl::sched_bound;
    params.context_bound = preemptions;
    params.iteration_count = UINT64_MAX;
    check(scenario, params);
  }

  static void check_random(const Scenario& scenario, uint64_t executions) {
    rl::test_params params;
    params.search_type = rl::sched_random;
    params.iteration_count = executions;
    check(scenario, params);
  }

 private:
  static void check(const Scenario& scenario, rl::test_params& params) {
    Said said;
    std::ostream out(&said);
    params.output_stream = &out;
    params.progress_stream = &out;
    params.execution_depth_limit = 20'000;
    Model::scenario = &scenario;
    const bool holds = rl::simulate<Model>(params);
    ASSERT_TRUE(holds) << "violated: " << scenario.name << ", " << kActors << " actors, execution "
                       << params.stop_iteration << "\n"
                       << said.text();
  }
};

// The situation with the second actor's lines in the same order as the first's, and swapped.
template <class Body>
void in_both_orders(Scenario scenario, Body&& body) {
  for (const bool swapped : {false, true}) {
    scenario.swapped[1] = swapped;
    body(scenario);
    if (testing::Test::HasFatalFailure()) return;
  }
}

Scenario with_stops(Scenario scenario, unsigned stops) {
  scenario.stops_at_most = stops;
  return scenario;
}

// Time passes: as much as pays a request off, or more than the horizon.
Scenario with_leaps(Scenario scenario, unsigned leaps) {
  scenario.leaps = {kToken, kHorizon + 5};
  scenario.leaps_at_most = leaps;
  return scenario;
}

// "insert and hit" to "InsertAndHit", for the test's name.
std::string in_camel_case(std::string_view words) {
  std::string name;
  bool starts = true;
  for (const char c : words) {
    if (c == ' ') {
      starts = true;
      continue;
    }
    name += starts ? static_cast<char>(std::toupper(c)) : c;
    starts = false;
  }
  return name;
}

class Model : public testing::TestWithParam<Scenario> {
 protected:
  using TwoActors = Checker<NarrowTable, 2>;
  using ThreeActors = Checker<NarrowTable, 3>;
};

TEST_P(Model, HoldsForTwoActorsInEveryOrder) {
  in_both_orders(GetParam(), [](const Scenario& s) { TwoActors::check_all(s, effort().still); });
}

TEST_P(Model, HoldsForTwoActorsWhereverTheyStop) {
  in_both_orders(with_stops(GetParam(), 2),
                 [](const Scenario& s) { TwoActors::check_all(s, effort().stops_or_leaps); });
}

TEST_P(Model, HoldsForTwoActorsWhereverTheySleep) {
  in_both_orders(with_leaps(GetParam(), 1),
                 [](const Scenario& s) { TwoActors::check_all(s, effort().stops_or_leaps); });
}

TEST_P(Model, HoldsForTwoActorsWhereverTheySleepAndStop) {
  in_both_orders(with_stops(with_leaps(GetParam(), 1), 1),
                 [](const Scenario& s) { TwoActors::check_all(s, effort().stops_and_leaps); });
}

TEST_P(Model, HoldsForTwoActorsWhoseClocksDiffer) {
  Scenario scenario = with_leaps(GetParam(), 1);
  scenario.behind = {0, 700};
  in_both_orders(scenario,
                 [](const Scenario& s) { TwoActors::check_all(s, effort().stops_and_leaps); });
}

TEST_P(Model, HoldsForThreeActorsInEveryOrder) {
  in_both_orders(GetParam(), [](const Scenario& s) { ThreeActors::check_all(s, effort().three); });
}

TEST_P(Model, HoldsForThreeActorsWhereverTheyStop) {
  in_both_orders(with_stops(GetParam(), 1),
                 [](const Scenario& s) { ThreeActors::check_all(s, effort().three_stops); });
}

TEST_P(Model, HoldsForThreeActorsInRandomOrders) {
  const Scenario scenario = with_stops(with_leaps(GetParam(), 2), 2);
  const uint64_t executions = effort().random / 4;
  in_both_orders(scenario, [&](const Scenario& s) {
    ThreeActors::check_random(s, executions);
    Scenario wider = s;
    wider.before = {s.before[0], 0, s.before[1], 0};
    Checker<WiderTable, 3>::check_random(wider, executions);
  });
}

INSTANTIATE_TEST_SUITE_P(, Model, testing::ValuesIn(situations()),
                         [](const auto& situation) { return in_camel_case(situation.param.name); });

// Each kind of step was taken, and lost, in these executions.
TEST(ModelCoverage, TheSituationsLeadEverywhere) {
  Coverage& sum = TableModel<NarrowTable, 3>::coverage;
  sum = {};
  for (const Scenario& situation : situations()) {
    in_both_orders(with_stops(with_leaps(situation, 1), 1),
                   [](const Scenario& s) { Checker<NarrowTable, 3>::check_random(s, 2000); });
  }
  for (const uint64_t n :
       {sum.claims_of_empty, sum.claims_of_dead, sum.evictions, sum.takeovers, sum.settlements,
        sum.charges, sum.refunds, sum.gave_way, sum.cleared, sum.lost_cas, sum.stops, sum.leaps}) {
    EXPECT_GT(n, 100u);
  }
}

}  // namespace
}  // namespace weir::model
