// The readers of the single formats, one file each. May use base only.
#pragma once

#include <memory>

#include "freshet/result.h"
#include "trace/reader.h"

namespace freshet::trace {

// 24 bytes a record, little-endian, packed: u32 time (s), u64 object id, u32 size, i64 next access.
Result<std::unique_ptr<Reader>> make_oracle_general_reader(std::unique_ptr<Input> input);
// Block I/O of virtual machines, little-endian. Version 1, 32 bytes: u32 sn, len, nSG; u16 cmd, ver; u64 lbn, ts (us).
// Version 2, 40 bytes: u16 cmd, ver; u32 sn, len, nSG; u64 lbn, ts, rt. The version is ver >> 8.
Result<std::unique_ptr<Reader>> make_vscsi_reader(std::unique_ptr<Input> input);
Result<std::unique_ptr<Reader>> make_csv_reader(std::unique_ptr<Input> input, const ReadOptions& options);
// timestamp,key,key size,value size,client id,operation,TTL.
Result<std::unique_ptr<Reader>> make_twitter_reader(std::unique_ptr<Input> input);
// One key a line, each object of size 1.
Result<std::unique_ptr<Reader>> make_text_reader(std::unique_ptr<Input> input);

// The version (1 or 2) of the VSCSI trace that begins with these bytes; 0 if it is none.
int vscsi_version_of(std::string_view bytes);

}  // namespace freshet::trace
