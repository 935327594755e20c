#include "storage/database.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/migrator.h"

namespace crr {
namespace {

// Bodies in one commit: enough to share an fsync widely, few enough that no
// caller waits long for its neighbours.
constexpr size_t kGroupMax = 512;

// The log is written back once it is this long; 16 MiB is 4,000 pages.
constexpr int64_t kWalBytesMax = 16 << 20;

// Readers of this process are done sooner; a backup, in another one, is not,
// and must not hold up the writer.
constexpr absl::Duration kEmptyLogWait = absl::Milliseconds(100);

// 0 when there is no such file.
int64_t SizeOf(const std::string& path) {
  struct stat file {};
  return stat(path.c_str(), &file) == 0 ? file.st_size : 0;
}

constexpr char kRemedy[] =
    "see the disk and the kernel's log, then start again: whatever was "
    "acknowledged is kept. A start refuses a file that is damaged: put it "
    "aside and restore the last backup (crr-server --help)";

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(Options options) {
  CRR_ASSIGN_OR_RETURN(DatabaseLock lock, DatabaseLock::Take(options.path));
  std::unique_ptr<Database> database(
      new Database(std::move(lock), std::move(options)));
  const absl::Status started = database->Start();
  if (absl::IsDataLoss(started)) {
    return absl::DataLossError(absl::StrCat(database->path(), ": ",
                                            started.message(), "; ", kRemedy));
  }
  if (!started.ok()) return started;
  return database;
}

absl::Status Database::Start() {
  // As they were found.
  const int64_t bytes = SizeOf(path());
  const int64_t log_bytes = SizeOf(path() + "-wal");
  if (lock_.made() && bytes == 0) {
    return absl::DataLossError(
        "the database that was here is gone or empty (to begin anew, remove "
        "its .lock, -wal and -shm too)");
  }
  CRR_ASSIGN_OR_RETURN(writer_, sqlite::Connection::Open(path(), {}));
  CRR_RETURN_IF_ERROR(CheckOurs(*writer_));
  CRR_RETURN_IF_ERROR(writer_->ExecuteScript(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "PRAGMA cache_size = -65536;"));
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows check,
                       writer_->Query("PRAGMA quick_check(1)"));
  if (check.size() != 1 || check[0].Text(0) != "ok") {
    return absl::DataLossError(absl::StrCat(
        "damaged: ", check.empty() ? "no answer" : check[0].Text(0)));
  }
  // SQLite takes what is missing of the last page for zeros.
  CRR_ASSIGN_OR_RETURN(const sqlite::Rows page,
                       writer_->Query("PRAGMA page_size"));
  if (log_bytes == 0 && bytes % page.at(0).Int(0) != 0) {
    return absl::DataLossError("damaged: the last page is not whole");
  }
  CRR_RETURN_IF_ERROR(Migrate(*writer_));
  CRR_RETURN_IF_ERROR(lock_.NoteMade());

  // Group numbers must not repeat those that rows of an earlier run carry.
  next_group_ = static_cast<int64_t>(std::random_device()()) << 30;
  for (int i = 0; i < options_.readers; ++i) {
    CRR_ASSIGN_OR_RETURN(auto reader, sqlite::Connection::Open(
                                          path(), {.read_only = true}));
    readers_.push_back(std::move(reader));
  }
  threads_.emplace_back([this] { WriterLoop(); });
  for (const auto& reader : readers_) {
    threads_.emplace_back([this, &reader] { ReaderLoop(*reader); });
  }
  return absl::OkStatus();
}

Database::~Database() {
  {
    MutexLock lock(mu_);
    closing_ = true;
  }
  jobs_changed_.NotifyAll();
  reads_changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
  readers_.clear();
  // The last to leave writes the log back: a plain file remains.
  if (!threads_.empty()) EmptyLog();
}

void Database::Stop(absl::string_view doing, const absl::Status& status) const {
  LogFatal("storage_failed", {{"path", path()},
                              {"doing", doing},
                              {"error", status.ToString()},
                              {"remedy", kRemedy}});
}

void Database::StopIfLost(absl::string_view doing,
                          const absl::Status& status) const {
  if (absl::IsDataLoss(status)) Stop(doing, status);
}

Database::Stats Database::stats() const {
  MutexLock lock(mu_);
  Stats stats = stats_;
  stats.waiting = jobs_.size();
  stats.waiting_max = options_.queue_max;
  return stats;
}

void Database::Submit(Job job) {
  {
    MutexLock lock(mu_);
    CRR_CHECK(!closing_);
    // A body that is too large for the bound itself still has its turn, and
    // small ones do not wait for room that they do not take.
    if (jobs_.size() < options_.queue_max &&
        (job.bytes == 0 || jobs_bytes_ == 0 ||
         jobs_bytes_ + job.bytes <= options_.queue_bytes_max)) {
      jobs_bytes_ += job.bytes;
      jobs_.push_back(std::move(job));
      jobs_changed_.NotifyOne();
      return;
    }
  }
  job.done(absl::UnavailableError("too many writes are waiting"));
}

bool Database::SubmitRead(ReadJob job) {
  MutexLock lock(mu_);
  CRR_CHECK(!closing_);
  if (reads_.size() >= options_.queue_max) return false;
  reads_.push_back(std::move(job));
  reads_changed_.NotifyOne();
  return true;
}

void Database::WriterLoop() {
  while (true) {
    std::vector<Job> group;
    {
      MutexLock lock(mu_);
      while (jobs_.empty() && !closing_) jobs_changed_.Wait(mu_);
      if (jobs_.empty()) return;
      const size_t count = std::min(jobs_.size(), kGroupMax);
      group.assign(std::make_move_iterator(jobs_.begin()),
                   std::make_move_iterator(jobs_.begin() +
                                           static_cast<ptrdiff_t>(count)));
      jobs_.erase(jobs_.begin(), jobs_.begin() + static_cast<ptrdiff_t>(count));
      for (const Job& job : group) jobs_bytes_ -= job.bytes;
      // Before anybody is answered: whoever is sees itself counted.
      stats_.groups.Add(static_cast<double>(count));
    }
    RunGroup(group);
    MaybeCheckpoint();
  }
}

void Database::ReaderLoop(sqlite::Connection& connection) {
  while (true) {
    ReadJob job;
    {
      MutexLock lock(mu_);
      while (reads_.empty() && !closing_) reads_changed_.Wait(mu_);
      if (reads_.empty()) return;
      job = std::move(reads_.front());
      reads_.pop_front();
    }
    job(connection);
  }
}

void Database::RunGroup(std::vector<Job>& jobs) {
  std::vector<absl::Status> outcomes;
  if (TryGroup(jobs, outcomes)) {
    for (size_t i = 0; i < jobs.size(); ++i) jobs[i].done(outcomes[i]);
    return;
  }
  // Our own log may be what fills the disk: written back, it is cut.
  EmptyLog();
  // SQLite rolled the whole transaction back, the neighbours of the body that
  // failed included: nothing of what they answered counts. One by one, each
  // stands or falls by itself.
  for (Job& job : jobs) {
    std::vector<Job> alone;
    alone.push_back(std::move(job));
    const bool kept = TryGroup(alone, outcomes);
    alone[0].done(kept ? outcomes[0]
                       : absl::ResourceExhaustedError("the disk is full"));
  }
}

bool Database::TryGroup(std::vector<Job>& jobs,
                        std::vector<absl::Status>& outcomes) {
  outcomes.assign(jobs.size(), absl::OkStatus());
  absl::Status status = writer_->ExecuteScript("BEGIN IMMEDIATE");
  if (absl::IsResourceExhausted(status)) return false;
  if (!status.ok()) Stop("begin", status);
  const int64_t group = next_group_++;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].stage == Job::Stage::kWaiting) {
      jobs[i].stage = jobs[i].cancelled && jobs[i].cancelled()
                          ? Job::Stage::kDropped
                          : Job::Stage::kBegun;
    }
    if (jobs[i].stage == Job::Stage::kDropped) {
      outcomes[i] = absl::CancelledError("the caller is gone");
      continue;
    }
    status = writer_->ExecuteScript("SAVEPOINT body");
    if (!status.ok()) Stop("savepoint", status);
    Transaction txn(*writer_, group);
    outcomes[i] = jobs[i].run(txn);
    if (!txn.status().ok()) outcomes[i] = txn.status();
    StopIfLost("statement", txn.status());
    if (!writer_->InTransaction()) return false;
    if (!outcomes[i].ok()) {
      status = writer_->ExecuteScript("ROLLBACK TO body");
      if (!status.ok()) Stop("rollback", status);
    }
    status = writer_->ExecuteScript("RELEASE body");
    if (!status.ok()) Stop("release", status);
  }
  if (options_.at_commit) options_.at_commit();
  status = writer_->ExecuteScript("COMMIT");
  if (options_.at_commit) options_.at_commit();
  if (status.ok()) return true;
  // A full disk leaves the transaction open or rolled back, never committed.
  // Whatever else went wrong, the outcome is unknown.
  if (!absl::IsResourceExhausted(status)) Stop("commit", status);
  if (writer_->InTransaction()) {
    status = writer_->ExecuteScript("ROLLBACK");
    if (!status.ok()) Stop("rollback", status);
  }
  return false;
}

void Database::MaybeCheckpoint() {
  const int64_t log_bytes = SizeOf(path() + "-wal");
  struct statvfs disk {};
  if (statvfs(path().c_str(), &disk) != 0) return;
  // On a disk with little room the log goes sooner: writing it back needs room
  // in the database itself, which a full disk no longer has.
  const auto room = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
  if (log_bytes < kWalBytesMax && log_bytes <= room) return;
  // Full disk: the log stays as it is and is tried again later.
  const auto left = writer_->Checkpoint(std::nullopt);
  StopIfLost("checkpoint", left.status());
  if (left.ok() && *left == 0) EmptyLog();
}

void Database::EmptyLog() {
  StopIfLost("checkpoint", writer_->Checkpoint(kEmptyLogWait).status());
}

}  // namespace crr
