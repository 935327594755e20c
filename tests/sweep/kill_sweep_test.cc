#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/temp_dir.h"
#include "tests/sweep/scenario.h"
#include "tests/sweep/server_process.h"
#include "tests/sweep/stored_state.h"

// kill -9 of the server at every commit point of a whole life of rules: nothing
// that was answered is lost, nothing is half done, and who asks again gets the
// answer of a server that never died.
namespace crr {
namespace {

using test::ReadStoredState;
using test::Scenario;
using test::ServerProcess;
using test::Step;
using test::StoredState;
using ::testing::IsEmpty;

// What a life without a kill was like.
struct Model {
  std::map<std::string, std::string> answers;  // By step.
  // What callers had set when so many changes were in the audit log.
  std::map<int64_t, std::string> set_by_callers;
  std::string end;
};

// One life of a scenario.
class Life {
 public:
  // One whose server is killed at commit point `point`, and that has to be like
  // `model` all the same; at point 0 it is not, and becomes the model.
  Life(int64_t point, Model& model) : point_(point), model_(model) {}

  // False when the end came before the kill.
  bool Run(const Scenario& scenario) {
    if (!scenario.before.empty()) {
      if (!Serve(0) || !RunSteps(scenario.before)) {
        ADD_FAILURE() << "the server died by itself";
        return true;
      }
      EXPECT_EQ(server_->Stop(), 0);
    }
    if (!Serve(point_) && !Replace()) return true;
    if (!RunSteps(scenario.steps)) {
      ADD_FAILURE() << "the server died a second time";
      return true;
    }
    if (const int end = server_->Stop(); end != 0) {
      EXPECT_EQ(end, -SIGKILL);
      EXPECT_FALSE(std::exchange(killed_, true));
      // What it left undone, the next one finishes.
      EXPECT_EQ(ServerProcess(path_, 0).Stop(), 0);
    }
    const StoredState state = ReadStoredState(path_);
    EXPECT_THAT(state.violations, IsEmpty());
    if (point_ == 0) model_.end = state.all;
    EXPECT_EQ(state.all, model_.end);
    return killed_;
  }

 private:
  bool Serve(int64_t point) {
    server_ = std::make_unique<ServerProcess>(path_, point);
    return !server_->address().empty() && callers_.Connect(server_->address());
  }

  // False when the server died and cannot be replaced.
  bool RunSteps(const std::vector<Step>& steps) {
    Remember();
    for (Step step : steps) {
      const std::string name = absl::StrCat(++number_, ", ", step.name);
      SCOPED_TRACE(name);
      auto answer = step.run(callers_);
      if (!answer && !killed_ && Replace()) answer = step.run(callers_);
      if (!answer) return false;
      Compare(name, *answer);
    }
    return true;
  }

  // Puts a server in place of the one that was killed.
  bool Replace() {
    EXPECT_EQ(server_->Wait(), -SIGKILL);
    EXPECT_FALSE(std::exchange(killed_, true));
    CheckFile();
    const bool connected = Serve(0);
    EXPECT_TRUE(connected);
    CheckFile();
    return connected;
  }

  // The changes that the audit log tells of were made, and no other.
  void CheckFile() {
    const StoredState state = ReadStoredState(path_);
    EXPECT_THAT(state.violations, IsEmpty());
    // Nothing at all: it did not live to see its first commit.
    if (state.set_by_callers.empty()) return;
    EXPECT_EQ(state.set_by_callers, model_.set_by_callers[state.changes]);
  }

  void Compare(const std::string& step, const std::string& answer) {
    if (point_ == 0) {
      model_.answers[step] = answer;
      Remember();
    } else if (!answer.empty()) {
      EXPECT_EQ(answer, model_.answers.at(step));
    }
  }

  void Remember() {
    if (point_ != 0) return;
    const StoredState state = ReadStoredState(path_);
    EXPECT_THAT(state.violations, IsEmpty());
    const auto known =
        model_.set_by_callers.emplace(state.changes, state.set_by_callers);
    EXPECT_EQ(known.first->second, state.set_by_callers)
        << "a change that the audit log does not tell of";
  }

  const int64_t point_;
  Model& model_;
  test::TempDir dir_;
  const std::string path_ = dir_ / "crr.db";
  std::unique_ptr<ServerProcess> server_;
  test::Callers callers_;
  int number_ = 0;  // Of the step.
  bool killed_ = false;
};

// Kills at the first commit point of the scenario and at each `stride`th after
// it, or at each of all when CRR_SWEEP_ALL is set; there must be at least
// `points`. They alternate between before and after a COMMIT, and an odd stride
// meets both.
void Sweep(const Scenario& scenario, int64_t stride, int64_t points) {
  if (std::getenv("CRR_SWEEP_ALL") != nullptr) stride = 1;
  Model model;
  ASSERT_FALSE(Life(0, model).Run(scenario));
  ASSERT_FALSE(testing::Test::HasFailure());

  std::atomic<int64_t> next = 1;
  std::atomic<int> killed = 0;
  std::atomic<bool> through = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, model]() mutable {
      while (!through && !testing::Test::HasFailure()) {
        const int64_t point = next.fetch_add(stride);
        SCOPED_TRACE(absl::StrCat("killed at commit point ", point));
        if (Life(point, model).Run(scenario)) {
          ++killed;
        } else {
          through = true;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("killed at each of %d commit points\n", killed.load());
  EXPECT_GE(killed * stride, points);
}

// Two points for each thing that a scenario changes, and more. Where lives are
// long or much in them is alike, such as the attempts at an object, some points
// stand for all.

TEST(KillSweepTest, TheLifeOfRules) { Sweep(test::LifeOfRules(), 1, 80); }

TEST(KillSweepTest, TheLifeOfObjects) { Sweep(test::LifeOfObjects(), 7, 110); }

TEST(KillSweepTest, TheLossOfACopier) { Sweep(test::LossOfACopier(), 5, 10); }

TEST(KillSweepTest, TheLifeOfVerifications) {
  Sweep(test::LifeOfVerifications(), 5, 50);
}

}  // namespace
}  // namespace crr
