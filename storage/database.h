#ifndef CRR_STORAGE_DATABASE_H_
#define CRR_STORAGE_DATABASE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "base/histogram.h"
#include "base/mutex.h"
#include "storage/database_lock.h"
#include "storage/transaction.h"

namespace crr {

// The control plane's durable state: SQLite in WAL mode with synchronous=FULL,
// one file, one process (kept by a lock file).
//
// A body is a function of a transaction handle. It captures by value, sees and
// changes state only through the handle, and may run more than once. Its
// answer is handed to `done` after the commit, a refusal included, since that
// may rest on a neighbour's row of the same commit.
//
// Writes run on one thread, on the only connection that writes or checkpoints
// (Debian 12's SQLite can lose data otherwise), all that wait in one commit,
// each behind a savepoint of its own. `done` runs on that thread, in commit
// order; it must not block.
//
// Statuses of its own: RESOURCE_EXHAUSTED the disk is full, nothing of the body
// is stored; UNAVAILABLE too many bodies wait; CANCELLED dropped before it
// began. After an I/O error or corruption, whoever meets it, or a commit whose
// outcome is unknown the process ends (LogFatal): only a restart can tell what
// is durable.
//
// Thread-safe.
class Database {
 public:
  struct Options {
    std::string path;
    int readers = 2;
    // Bodies that may wait to write, and as many to read; bytes of those that
    // wait to write, as their callers state them.
    size_t queue_max = std::numeric_limits<size_t>::max();
    size_t queue_bytes_max = std::numeric_limits<size_t>::max();
    // For tests that kill the process: called on the writer's thread just
    // before each COMMIT, and just after it, before anything is answered.
    std::function<void()> at_commit;
  };

  struct WriteOptions {
    // Asked once, before the body begins: true drops it.
    std::function<bool()> cancelled;
    // What the body holds while it waits, if that is much.
    size_t bytes = 0;
  };

  struct Stats {
    // Bodies in each commit; the last bound is the most that there can be.
    Histogram groups{{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}};
    size_t waiting = 0;      // Bodies in the writer's queue now.
    size_t waiting_max = 0;  // As many may be.
  };
  Stats stats() const;

  // Of the file, links resolved.
  const std::string& path() const { return lock_.path(); }

  template <typename T>
  using WriteBody = std::function<absl::StatusOr<T>(Transaction&)>;
  template <typename T>
  using ReadBody = std::function<absl::StatusOr<T>(ReadTransaction&)>;
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;

  // Opens or creates the file and brings its schema up to date.
  // FAILED_PRECONDITION: the file is of a newer crr, not of crr at all, or in
  // use by another process. DATA_LOSS: it is damaged, or gone.
  static absl::StatusOr<std::unique_ptr<Database>> Open(Options options);

  // Runs what waits, then closes. Nothing may be submitted meanwhile.
  ~Database();

  template <typename T>
  void Write(WriteOptions options, WriteBody<T> body, Done<T> done) {
    auto value = std::make_shared<std::optional<T>>();
    Submit({.bytes = options.bytes,
            .cancelled = std::move(options.cancelled),
            .run =
                [value, body = std::move(body)](Transaction& txn) {
                  absl::StatusOr<T> result = body(txn);
                  if (!result.ok()) return std::move(result).status();
                  *value = *std::move(result);
                  return absl::OkStatus();
                },
            .done =
                [value, done = std::move(done)](absl::Status status) {
                  if (!status.ok()) return done(std::move(status));
                  done(*std::move(*value));
                }});
  }

  template <typename T>
  void Read(ReadBody<T> body, Done<T> done) {
    const bool queued =
        SubmitRead([this, body = std::move(body), done](
                       sqlite::Connection& connection) {
          done(RunRead<T>(connection, body));
        });
    if (!queued) done(absl::UnavailableError("too many reads are waiting"));
  }

  // The same, waiting for the answer: for start-up and tests. Not from `done`.
  template <typename T>
  absl::StatusOr<T> WriteAndWait(WriteBody<T> body) {
    std::optional<absl::StatusOr<T>> answer;
    std::latch latch(1);
    Write<T>({}, std::move(body), [&](absl::StatusOr<T> result) {
      answer = std::move(result);
      latch.count_down();
    });
    latch.wait();
    return *std::move(answer);
  }
  template <typename T>
  absl::StatusOr<T> ReadAndWait(ReadBody<T> body) {
    std::optional<absl::StatusOr<T>> answer;
    std::latch latch(1);
    Read<T>(std::move(body), [&](absl::StatusOr<T> result) {
      answer = std::move(result);
      latch.count_down();
    });
    latch.wait();
    return *std::move(answer);
  }

 private:
  struct Job {
    size_t bytes = 0;
    std::function<bool()> cancelled;
    std::function<absl::Status(Transaction&)> run;
    std::function<void(absl::Status)> done;
    // Asked once: a body that began is run to an end, however often.
    enum class Stage { kWaiting, kBegun, kDropped } stage = Stage::kWaiting;
  };
  using ReadJob = std::function<void(sqlite::Connection&)>;

  Database(DatabaseLock lock, Options options)
      : lock_(std::move(lock)), options_(std::move(options)) {}

  template <typename T>
  absl::StatusOr<T> RunRead(sqlite::Connection& connection,
                            const ReadBody<T>& body) {
    // One snapshot for the whole body.
    if (absl::Status begun = connection.ExecuteScript("BEGIN"); !begun.ok()) {
      StopIfLost("read", begun);
      return begun;
    }
    ReadTransaction txn(connection);
    absl::StatusOr<T> result = body(txn);
    StopIfLost("read", txn.status());
    const absl::Status ended = connection.ExecuteScript("COMMIT");
    StopIfLost("read", ended);
    if (connection.InTransaction()) {
      connection.ExecuteScript("ROLLBACK").IgnoreError();  // As it was.
    }
    if (!txn.status().ok()) return txn.status();
    if (!ended.ok()) return ended;
    return result;
  }

  // Opens the connections and starts the threads.
  absl::Status Start();
  [[noreturn]] void Stop(absl::string_view doing,
                         const absl::Status& status) const;
  // Stops on DATA_LOSS.
  void StopIfLost(absl::string_view doing, const absl::Status& status) const;

  void Submit(Job job);
  // False when too many wait.
  bool SubmitRead(ReadJob job);
  void WriterLoop();
  void ReaderLoop(sqlite::Connection& connection);
  // Runs `jobs` as one commit and answers them.
  void RunGroup(std::vector<Job>& jobs);
  // Fills `outcomes`; false when the whole transaction was lost.
  bool TryGroup(std::vector<Job>& jobs, std::vector<absl::Status>& outcomes);
  void MaybeCheckpoint();
  // Writes all of the log back and empties it, if no reader is in the way.
  void EmptyLog();

  const DatabaseLock lock_;
  const Options options_;
  std::unique_ptr<sqlite::Connection> writer_;  // Writer thread only.
  int64_t next_group_ = 0;                      // Writer thread only.
  std::vector<std::unique_ptr<sqlite::Connection>> readers_;

  mutable Mutex mu_;
  Stats stats_ ABSL_GUARDED_BY(mu_);
  CondVar jobs_changed_;
  CondVar reads_changed_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  size_t jobs_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<ReadJob> reads_ ABSL_GUARDED_BY(mu_);
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace crr

#endif  // CRR_STORAGE_DATABASE_H_
