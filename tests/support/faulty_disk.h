// A disk under RocksDB that can hold back or fail the syncs of its write-ahead log, count them, and show what a power cut
// would leave: of each log, what has been synced. Everything else passes through to the real file system.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace freshet::testing {

class FaultyDisk {
 public:
  FaultyDisk() : files_(std::make_shared<Files>(rocksdb::FileSystem::Default())), env_(rocksdb::NewCompositeEnv(files_)) {}

  rocksdb::Env* env() { return env_.get(); }

  // Syncs of logs wait from now on, until release().
  void hold_syncs() { files_->set(&Files::held, true); }
  void release() { files_->set(&Files::held, false); }
  // Waits until a sync is held back.
  void wait_for_held_sync() {
    std::unique_lock lock(files_->mutex);
    files_->changed.wait(lock, [this] { return files_->waiting > 0; });
  }
  // Syncs of logs fail from now on.
  void fail_syncs(bool fail) { files_->set(&Files::failing, fail); }
  int syncs() {
    std::lock_guard lock(files_->mutex);
    return files_->syncs;
  }

  // Copies the directory as a power cut now would leave it. Nothing may be written meanwhile.
  void copy_after_power_cut(const std::string& from, const std::string& to) {
    std::filesystem::create_directories(to);
    std::lock_guard lock(files_->mutex);
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      if (entry.path().filename() == "LOCK") continue;
      const auto copy = std::filesystem::path(to) / entry.path().filename();
      std::filesystem::copy_file(entry.path(), copy);
      if (const auto log = files_->logs.find(entry.path().string()); log != files_->logs.end()) {
        std::filesystem::resize_file(copy, log->second.synced_bytes);
      }
    }
  }

 private:
  struct Log {
    std::uint64_t bytes = 0;
    std::uint64_t synced_bytes = 0;
  };

  struct Files final : rocksdb::FileSystemWrapper {
    using FileSystemWrapper::FileSystemWrapper;

    const char* Name() const override { return "freshet.FaultyDisk"; }
    rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* context) override {
      auto status = FileSystemWrapper::NewWritableFile(path, options, result, context);
      if (status.ok() && path.ends_with(".log")) *result = std::make_unique<LogFile>(*this, path, std::move(*result));
      return status;
    }
    void set(bool Files::*flag, bool value) {
      std::lock_guard lock(mutex);
      this->*flag = value;
      changed.notify_all();
    }
    // What a sync of the log does before it reaches the disk.
    rocksdb::IOStatus before_sync() {
      std::unique_lock lock(mutex);
      ++waiting;
      changed.notify_all();
      changed.wait(lock, [this] { return !held; });
      --waiting;
      return failing ? rocksdb::IOStatus::IOError("the faulty disk fails this sync") : rocksdb::IOStatus::OK();
    }
    void after_sync(const std::string& path) {
      std::lock_guard lock(mutex);
      ++syncs;
      logs[path].synced_bytes = logs[path].bytes;
    }
    void after_append(const std::string& path, std::size_t bytes) {
      std::lock_guard lock(mutex);
      logs[path].bytes += bytes;
    }

    std::mutex mutex;
    std::condition_variable changed;
    bool held = false;
    bool failing = false;
    int waiting = 0;
    int syncs = 0;
    std::map<std::string, Log> logs;
  };

  class LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    LogFile(Files& files, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
        : FSWritableFileOwnerWrapper(std::move(file)), files_(files), path_(std::move(path)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
      files_.after_append(path_, data.size());
      return FSWritableFileOwnerWrapper::Append(data, options, context);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* context) override {
      files_.after_append(path_, data.size());
      return FSWritableFileOwnerWrapper::Append(data, options, verification, context);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      return synced([&] { return FSWritableFileOwnerWrapper::Sync(options, context); });
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      return synced([&] { return FSWritableFileOwnerWrapper::Fsync(options, context); });
    }

   private:
    template <typename Sync>
    rocksdb::IOStatus synced(Sync sync) {
      if (auto failed = files_.before_sync(); !failed.ok()) return failed;
      auto status = sync();
      if (status.ok()) files_.after_sync(path_);
      return status;
    }

    Files& files_;
    std::string path_;
  };

  std::shared_ptr<Files> files_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace freshet::testing
