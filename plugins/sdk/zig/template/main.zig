//! A kernel that passes on the lines of a text that contain a word, and drops
//! texts without any.
const std = @import("std");
const k1 = @import("waybill/kernel.zig");

pub const panic = k1.panic;

comptime {
    k1.serve(@This());
}

var word: []const u8 = "";

/// Reads `with` of the pipeline file, which has the schema in kernel.json.
pub fn configure(json: []const u8) !void {
    word = (try k1.config(struct { word: []const u8 }, json)).word;
    if (word.len == 0) return error.WordIsEmpty;
}

/// Is called once for each record.
pub fn handle(r: *k1.Record) !void {
    var found = std.ArrayList(u8).init(r.allocator());
    var rest = r.value;
    while (rest.len > 0) {
        const end = if (std.mem.indexOfScalar(u8, rest, '\n')) |at| at + 1 else rest.len;
        if (std.mem.indexOf(u8, rest[0..end], word) != null) try found.appendSlice(rest[0..end]);
        rest = rest[end..];
    }
    if (found.items.len > 0) r.put(found.items);
}
