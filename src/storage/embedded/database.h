// The RocksDB database of one directory: how it is opened, and the few things stored in it beside the records.
//
// Two column families: "default" holds the records (record.h), "meta" what belongs to the directory:
//   format    "1": the layout of the directory
//   system    the id of the directory, made once
//   versions  every version drawn so far is below this number (8 bytes, most significant first)
//
// May use RocksDB, record.h and storage's interface.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <string>

#include "freshet/result.h"
#include "storage/embedded/options.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

// Versions are reserved in blocks: a block costs one small write, and an opening at most one block of the 2^64 versions.
inline constexpr Version kVersionsPerBlock = 1ull << 20;

class Database {
 public:
  // Opens or makes the directory. Errors: unavailable (in use: names the holder if the system tells; no permission; I/O),
  // corrupted, unsupported (a layout of a newer build).
  static Result<std::unique_ptr<Database>> open(const EmbeddedOptions& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* records() { return records_; }
  const std::string& system() const { return system_; }
  // The first version of this opening: every earlier one was drawn, if at all, before it.
  Version first_version() const { return first_version_; }
  // Adds to `batch` that versions are drawn below `mark` from now on.
  void stage_version_mark(rocksdb::WriteBatch& batch, Version mark);

 private:
  Database() = default;
  Result<void> open_rocksdb(const EmbeddedOptions& options);
  Result<void> load_meta();
  Result<std::string> meta(std::string_view name);

  // What the compaction filter reads: tombstones below this version may go. 0 until the directory's meta is read.
  std::shared_ptr<std::atomic<Version>> tombstones_needed_from_ = std::make_shared<std::atomic<Version>>(0);
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* records_ = nullptr;
  rocksdb::ColumnFamilyHandle* meta_ = nullptr;
  std::string system_;
  Version first_version_ = 0;
};

// RocksDB's words for a failed operation, as an Error of this code.
Error error_of(ErrorCode code, const std::string& doing, const rocksdb::Status& status, std::string remedy = {});
// For reads: corrupted if RocksDB says so, else unavailable.
Error read_error_of(const std::string& doing, const rocksdb::Status& status);

}  // namespace freshet::storage::embedded
