// Every format: what it says is read, what is broken is named by its record's number, and formats are known by themselves.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "base/slot.h"
#include "trace/little_endian.h"
#include "trace/reader.h"
#include "trace/synthetic.h"
#include "trace/writer.h"

namespace freshet::trace {
namespace {

class Readers : public testing::Test {
 protected:
  Readers() : folder_(std::filesystem::temp_directory_path() / fmt::format("freshet-trace-{}", ::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Readers() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  struct Contents {
    std::vector<Record> records;
    Format format = Format::detect;
    std::string fault;
  };
  static Contents read_all(const std::string& path, const ReadOptions& options = {}) {
    Contents contents;
    auto reader = open_trace(path, options);
    if (!reader) return contents.fault = reader.error().what, contents;
    contents.format = (*reader)->format();
    std::vector<Record> batch(3);
    for (;;) {
      const auto count = (*reader)->read(batch);
      if (!count) return contents.fault = count.error().what, contents;
      if (*count == 0) return contents;
      contents.records.insert(contents.records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(*count));
    }
  }

  const std::filesystem::path folder_;
};

std::string oracle_record(std::uint32_t time, std::uint64_t id, std::uint32_t size, std::int64_t next) {
  std::string bytes(24, '\0');
  store(&bytes[0], time);
  store(&bytes[4], id);
  store(&bytes[12], size);
  store(&bytes[16], next);
  return bytes;
}

std::string vscsi1_record(std::uint32_t size, std::uint16_t command, std::uint64_t block, std::uint64_t time_us) {
  std::string bytes(32, '\0');
  store(&bytes[4], size);
  store(&bytes[12], command);
  store(&bytes[14], std::uint16_t{0x0100});
  store(&bytes[16], block);
  store(&bytes[24], time_us);
  return bytes;
}

std::string vscsi2_record(std::uint32_t size, std::uint16_t command, std::uint64_t block, std::uint64_t time_us) {
  std::string bytes(40, '\0');
  store(&bytes[0], command);
  store(&bytes[2], std::uint16_t{0x0200});
  store(&bytes[8], size);
  store(&bytes[16], block);
  store(&bytes[24], time_us);
  return bytes;
}

TEST_F(Readers, OracleGeneral) {
  const auto read = read_all(file("x.bin", oracle_record(5, 7, 100, 3) + oracle_record(6, 8, 200, -1) +
                                               oracle_record(7, 7, 1, -1)));
  EXPECT_EQ(read.fault, "");
  EXPECT_EQ(read.format, Format::oracle_general);
  EXPECT_EQ(read.records, (std::vector<Record>{{mix(7), 100, 5, Operation::read}, {mix(8), 200, 6, Operation::read},
                                               {mix(7), 1, 7, Operation::read}}));
}

TEST_F(Readers, ACutRecordIsNamedByItsNumber) {
  std::string bytes;
  for (int i = 0; i < 5; ++i) bytes += oracle_record(5, 7, 100, i + 2);
  const auto read = read_all(file("cut.oracleGeneral", bytes.substr(0, 24 * 4 + 10)));
  EXPECT_EQ(read.records.size(), 4u);
  EXPECT_EQ(read.fault, "record 5: the trace is cut off: 10 bytes are left of a record of 24");
}

TEST_F(Readers, BothVersionsOfVscsi) {
  const std::vector<Record> expected{{mix(9), 4096, 2, Operation::write}, {mix(10), 512, 3, Operation::read}};
  const std::string one = vscsi1_record(4096, 0x2a, 9, 2'500'000) + vscsi1_record(512, 0x28, 10, 3'000'000);
  const auto first = read_all(file("one", one));
  EXPECT_EQ(first.format, Format::vscsi);
  EXPECT_EQ(first.records, expected);
  const std::string two = vscsi2_record(4096, 0x2a, 9, 2'500'000) + vscsi2_record(512, 0x28, 10, 3'000'000);
  const auto second = read_all(file("two", two));
  EXPECT_EQ(second.format, Format::vscsi);
  EXPECT_EQ(second.records, expected);
  const auto mixed = read_all(file("mixed.vscsi", vscsi1_record(512, 0x2a, 9, 0) + vscsi2_record(512, 0x2a, 9, 0)));
  EXPECT_EQ(mixed.records.size(), 1u);
  EXPECT_EQ(mixed.fault, "record 2: it is not of VSCSI version 1 as the records before it");
}

TEST_F(Readers, CsvByItsHeader) {
  const auto read = read_all(file("a.csv", "version,time,op,size,lbn\n1,10,2a,512,42\r\n1,11.5,28,1024,43"));
  EXPECT_EQ(read.fault, "");
  EXPECT_EQ(read.format, Format::csv);
  EXPECT_EQ(read.records, (std::vector<Record>{{mix(42), 512, 10, Operation::write}, {mix(43), 1024, 11, Operation::read}}));
}

TEST_F(Readers, OperationsOfCsv) {
  const auto read = read_all(file("ops.csv", "id,op\n1,read\n1,store\n1,w\n1,set\n1,DELETE\n1,get\n"));
  std::vector<Operation> operations;
  for (const auto& record : read.records) operations.push_back(record.operation);
  EXPECT_EQ(operations, (std::vector{Operation::read, Operation::store, Operation::write, Operation::write, Operation::erase,
                                     Operation::read}));
}

TEST_F(Readers, CsvByNumbersOfColumns) {
  const std::string bytes = "alpha;7;\"a;b\"\nbeta;8;c\n";
  const auto read = read_all(file("b.csv", bytes),
                             {.format = Format::csv, .csv_columns = "id=3,size=2", .csv_delimiter = ';'});
  EXPECT_EQ(read.fault, "");
  ASSERT_EQ(read.records.size(), 2u);
  EXPECT_EQ(read.records[0].size, 7u);
  EXPECT_EQ(read.records[0].key, base::hash_of("a;b"));
  const auto no_id = read_all(file("c.csv", "1,2,3\n"));
  EXPECT_EQ(no_id.fault, "the CSV trace does not say which column is the id");
}

TEST_F(Readers, CsvFaultsNameTheRecord) {
  const auto few = read_all(file("d.csv", "id,size\n1,2\n3\n"));
  EXPECT_EQ(few.records.size(), 1u);
  EXPECT_EQ(few.fault, "record 2: its line has 1 fields, and column 2 is wanted");
  const auto word = read_all(file("e.csv", "id,size\n1,2\n3,large\n"));
  EXPECT_EQ(word.fault, "record 2: \"large\" is not a size");
  const auto huge = read_all(file("f.csv", "id,size\n1,4294967295\n"));
  EXPECT_EQ(huge.fault, "record 1: \"4294967295\" is not a size");
}

TEST_F(Readers, Twitter) {
  const auto read = read_all(file("cluster", "0,k1,2,100,1,get,0\n1,a,b,3,50,1,set,60\n2,k1,2,0,1,delete,0\n"));
  EXPECT_EQ(read.fault, "");
  EXPECT_EQ(read.format, Format::twitter);
  ASSERT_EQ(read.records.size(), 3u);
  EXPECT_EQ(read.records[0], (Record{base::hash_of("k1"), 102, 0, Operation::read}));
  EXPECT_EQ(read.records[1], (Record{base::hash_of("a,b"), 53, 1, Operation::write}));
  EXPECT_EQ(read.records[2].operation, Operation::erase);
}

TEST_F(Readers, TextIsOneKeyALine) {
  const auto read = read_all(file("keys.txt", "user:1\n\n17\nuser:1\n"));
  EXPECT_EQ(read.format, Format::text);
  ASSERT_EQ(read.records.size(), 3u);
  EXPECT_EQ(read.records[0], read.records[2]);
  EXPECT_EQ(read.records[1], (Record{mix(17), 1, 0, Operation::read}));
  const auto endless = read_all(file("endless.txt", "a\n" + std::string(100'000, 'x')));
  EXPECT_EQ(endless.records.size(), 1u);
  EXPECT_EQ(endless.fault, "record 2: its line is longer than 65536 bytes");
}

TEST_F(Readers, NoTraceAtAll) {
  EXPECT_NE(read_all(path("missing")).fault.find("cannot be opened"), std::string::npos);
  EXPECT_NE(read_all(file("noise", std::string("\x00\x01\x02\xff\xfe", 5))).fault.find("is not known"), std::string::npos);
  EXPECT_TRUE(read_all(file("empty.txt", "")).records.empty());
}

// What the writer writes the reader reads, packed or not.
TEST_F(Readers, WrittenTracesAreRead) {
  SyntheticOptions options;
  options.requests = 50'000;
  for (const std::string name : {"plain.oracleGeneral", "packed.oracleGeneral.zst"}) {
    auto writer = Writer::create(path(name));
    ASSERT_TRUE(writer);
    std::vector<Record> written;
    for (Synthetic synthetic(options); !synthetic.done();) {
      written.push_back(synthetic.next());
      ASSERT_TRUE((*writer)->write(written.back()));
    }
    ASSERT_TRUE((*writer)->write({.key = 1, .operation = Operation::erase}));  // Left out.
    ASSERT_TRUE((*writer)->finish());
    const auto read = read_all(path(name));
    EXPECT_EQ(read.fault, "");
    for (Record& record : written) record.key = mix(record.key);  // An id is mixed as it is read.
    EXPECT_EQ(read.records, written) << name;
  }
  const auto packed = std::filesystem::file_size(path("packed.oracleGeneral.zst"));
  EXPECT_LT(packed, std::filesystem::file_size(path("plain.oracleGeneral")));
}

TEST_F(Readers, WrittenCsvKeepsOperations) {
  base::Random random(3);
  for (const std::string name : {"ops.csv", "ops.csv.zst"}) {
    auto writer = Writer::create(path(name));
    ASSERT_TRUE(writer);
    EXPECT_TRUE((*writer)->has_operations());
    std::vector<Record> written{{UINT64_MAX, kSizeMax, UINT32_MAX, Operation::erase}, {0, 0, 0, Operation::store}};
    while (written.size() < 50'000) {
      const auto size = static_cast<std::uint32_t>(random.below(kSizeMax));
      written.push_back({random(), size, 1'700'000'000, static_cast<Operation>(random.below(4))});
    }
    for (const Record& record : written) ASSERT_TRUE((*writer)->write(record));
    EXPECT_EQ((*writer)->records_written(), written.size());
    ASSERT_TRUE((*writer)->finish());
    const auto read = read_all(path(name));
    EXPECT_EQ(read.fault, "");
    EXPECT_EQ(read.format, Format::csv);
    for (Record& record : written) record.key = mix(record.key);
    EXPECT_EQ(read.records, written) << name;
  }
  { ASSERT_TRUE((*Writer::create(path("none.csv")))->finish()); }
  EXPECT_TRUE(read_all(path("none.csv")).records.empty());
}

TEST_F(Readers, APackedTraceThatIsCutOffOrBroken) {
  {
    auto writer = Writer::create(path("x.oracleGeneral.zst"));
    base::Random random(1);
    for (int i = 0; i < 100'000; ++i) ASSERT_TRUE((*writer)->write({.key = random(), .size = 1}));
    ASSERT_TRUE((*writer)->finish());
  }
  std::ifstream stream(path("x.oracleGeneral.zst"), std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const auto cut = read_all(file("cut.zst", bytes.substr(0, bytes.size() / 2)));
  EXPECT_GT(cut.records.size(), 10'000u);
  EXPECT_EQ(cut.fault.find(fmt::format("record {}: ", cut.records.size() + 1)), 0u) << cut.fault;
  EXPECT_NE(cut.fault.find("is cut off inside a zstd frame"), std::string::npos) << cut.fault;
  for (std::size_t i = 0; i < 64; ++i) bytes[bytes.size() / 2 + i] = static_cast<char>(~bytes[bytes.size() / 2 + i]);
  const auto broken = read_all(file("broken.zst", bytes));
  EXPECT_NE(broken.fault.find("is not sound zstd"), std::string::npos) << broken.fault;
}

}  // namespace
}  // namespace freshet::trace
