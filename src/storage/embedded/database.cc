// Opening RocksDB: its options, its lock, and the directory's own entries.
#include "storage/embedded/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "storage/embedded/directory_lock.h"
#include "storage/embedded/record.h"
#include "storage/embedded/tombstone_filter.h"

namespace freshet::storage::embedded {
namespace {

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kSystemKey = "system";
constexpr std::string_view kVersionsKey = "versions";
constexpr std::string_view kDirectoryFormat = "1";

constexpr std::uint64_t kLogBytesMax = 128ull << 20;      // Write-ahead logs kept before memtables are flushed.
constexpr std::size_t kInfoLogBytesMax = 4ull << 20;
constexpr std::size_t kInfoLogFilesMax = 2;
constexpr int kOpenFilesMax = 512;                        // Tables kept open, well below the usual limit of 1024.
constexpr int kBackgroundJobsMax = 2;
constexpr std::size_t kBlockBytes = 8 * 1024;
constexpr double kBloomBitsPerKey = 10;                   // About 1 % of the absent keys cost a read of a table.

bool supported(rocksdb::CompressionType type) {
  const auto types = rocksdb::GetSupportedCompressions();
  return std::find(types.begin(), types.end(), type) != types.end();
}

rocksdb::DBOptions database_options(const EmbeddedOptions& options) {
  rocksdb::DBOptions out;
  if (options.env != nullptr) out.env = options.env;
  out.create_if_missing = true;
  out.create_missing_column_families = true;
  out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  out.max_log_file_size = kInfoLogBytesMax;
  out.keep_log_file_num = kInfoLogFilesMax;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  out.max_open_files = kOpenFilesMax;
  out.max_background_jobs = kBackgroundJobsMax;
  out.max_total_wal_size = kLogBytesMax;
  out.avoid_flush_during_recovery = true;  // Opening replays the log into memory and leaves it at that.
  // After an I/O error the database stays closed for writes until it is opened anew: a recovery behind the storage's back
  // could make a write appear whose outcome was reported as unknown and which a set_guard has fenced since.
  out.max_bgerror_resume_count = 0;
  return out;
}

rocksdb::ColumnFamilyOptions record_options(const EmbeddedOptions& options,
                                            const std::shared_ptr<const std::atomic<Version>>& tombstones_needed_from) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.block_size = kBlockBytes;
  table.format_version = 5;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;  // Reads are point lookups.

  rocksdb::ColumnFamilyOptions out;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.write_buffer_size = options.memtable_bytes;
  out.max_write_buffer_number = kMemtablesMax;
  out.level_compaction_dynamic_level_bytes = true;
  out.compression = supported(rocksdb::kLZ4Compression) ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  if (supported(rocksdb::kZSTD)) out.bottommost_compression = rocksdb::kZSTD;
  // A factory, since RocksDB wants a filter object for each compaction that runs at once.
  class Factory final : public rocksdb::CompactionFilterFactory {
   public:
    explicit Factory(std::shared_ptr<const std::atomic<Version>> needed_from) : needed_from_(std::move(needed_from)) {}
    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context&) override {
      return std::make_unique<TombstoneFilter>(needed_from_);
    }
    const char* Name() const override { return "freshet.TombstoneFilterFactory"; }

   private:
    std::shared_ptr<const std::atomic<Version>> needed_from_;
  };
  out.compaction_filter_factory = std::make_shared<Factory>(tombstones_needed_from);
  return out;
}

Error open_error(const std::string& directory, const rocksdb::Status& status) {
  const auto text = status.ToString();
  if (is_lock_error(text)) {
    return Error::of(ErrorCode::unavailable,
                     "the data directory " + directory + " is in use by " + holder_of(directory, text),
                     "Stop that one, or give this one a directory of its own.");
  }
  if (status.IsCorruption()) {
    return error_of(ErrorCode::corrupted, "opening the data directory " + directory, status,
                    "Restore it from a backup; `ldb repair` of RocksDB may save what is left.");
  }
  return error_of(ErrorCode::unavailable, "opening the data directory " + directory, status,
                  "Check that the disk has space and that this user may write there.");
}

std::string encode_version(Version version) { return encode_position(version); }

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const EmbeddedOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  if (failed) {
    return Error::of(ErrorCode::unavailable, "making the data directory " + options.directory + ": " + failed.message(),
                     "Check the path and that this user may write there.");
  }
  std::unique_ptr<Database> database(new Database);
  if (auto opened = database->open_rocksdb(options); !opened) return std::move(opened).error();
  if (auto loaded = database->load_meta(); !loaded) return std::move(loaded).error();
  return database;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (auto* family : {records_, meta_}) {
    if (family != nullptr) db_->DestroyColumnFamilyHandle(family);
  }
  db_->Close();
}

Result<void> Database::open_rocksdb(const EmbeddedOptions& options) {
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, record_options(options, tombstones_needed_from_)},
      {"meta", rocksdb::ColumnFamilyOptions()}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(database_options(options), options.directory, families, &handles, &db);
  if (!status.ok()) return open_error(options.directory, status);
  db_.reset(db);
  records_ = handles[0];
  meta_ = handles[1];
  return {};
}

Result<std::string> Database::meta(std::string_view name) {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), meta_, rocksdb::Slice(name.data(), name.size()), &value);
  if (status.IsNotFound()) return std::string();
  if (!status.ok()) return read_error_of("reading the directory's " + std::string(name), status);
  return value;
}

Result<void> Database::load_meta() {
  auto format = meta(kFormatKey);
  auto system = meta(kSystemKey);
  auto versions = meta(kVersionsKey);
  for (const auto* entry : {&format, &system, &versions}) {
    if (!*entry) return entry->error();
  }
  if (!format->empty() && *format != kDirectoryFormat) {
    return Error::of(ErrorCode::unsupported, "the data directory has layout " + *format + ", this build knows 1",
                     "Open it with the build that wrote it, or a newer one.");
  }
  const bool fresh = format->empty();
  if (fresh != system->empty() || fresh != versions->empty() || (!fresh && versions->size() != sizeof(Version))) {
    return Error::of(ErrorCode::corrupted, "the data directory's own entries are incomplete", "Restore it from a backup.");
  }
  first_version_ = 1;
  if (!fresh) {
    first_version_ = 0;
    for (const char byte : *versions) first_version_ = first_version_ << 8 | static_cast<unsigned char>(byte);
  }
  system_ = fresh ? base::UniqueId::make().to_text() : *system;
  rocksdb::WriteBatch batch;
  batch.Put(meta_, rocksdb::Slice(kFormatKey.data(), kFormatKey.size()), rocksdb::Slice(kDirectoryFormat.data(), 1));
  batch.Put(meta_, rocksdb::Slice(kSystemKey.data(), kSystemKey.size()), system_);
  stage_version_mark(batch, first_version_ + kVersionsPerBlock);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto status = db_->Write(synced, &batch);
  if (!status.ok()) return error_of(ErrorCode::unavailable, "writing the directory's own entries", status);
  tombstones_needed_from_->store(first_version_, std::memory_order_relaxed);
  return {};
}

void Database::stage_version_mark(rocksdb::WriteBatch& batch, Version mark) {
  batch.Put(meta_, rocksdb::Slice(kVersionsKey.data(), kVersionsKey.size()), encode_version(mark));
}

Error error_of(ErrorCode code, const std::string& doing, const rocksdb::Status& status, std::string remedy) {
  return Error::of(code, doing + ": " + status.ToString(), std::move(remedy));
}

Error read_error_of(const std::string& doing, const rocksdb::Status& status) {
  if (status.IsCorruption()) return error_of(ErrorCode::corrupted, doing, status, "Restore the directory from a backup.");
  return error_of(ErrorCode::unavailable, doing, status, "Check the disk and its file system.");
}

}  // namespace freshet::storage::embedded
