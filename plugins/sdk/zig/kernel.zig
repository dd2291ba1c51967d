//! Waybill kernels in Zig: WebAssembly modules that a pipeline runs over its
//! items, sandboxed. This file is all there is.
//!
//!     const k1 = @import("waybill/kernel.zig");
//!
//!     comptime {
//!         k1.serve(@This());
//!     }
//!
//!     pub fn configure(json: []const u8) !void {
//!         _ = try k1.config(struct {}, json);
//!     }
//!
//!     pub fn handle(r: *k1.Record) !void {
//!         if (r.value.len > 0) r.put(r.value[1..]);
//!     }
//!
//! handle is called once for each record of a batch, in order, never two at a
//! time. It answers with operations: keep, slice, put and their kind, any number
//! of them; none drops the record. An error that it returns, or fail, fails the
//! record alone. A trap fails it too and costs the instance.
//!
//! A kernel is a function of its records. Its only clock is r.time, its only
//! randomness r.random, and what variables keep from one record must not reach
//! the answer to another. What crosses the border to the host is described in
//! spec/kernel-abi.md. `zig test` of this file runs its tests, at the end.
const std = @import("std");
const builtin = @import("builtin");

const wasm = builtin.target.isWasm();
/// What the buffers and the records' memory come from.
const backing = if (wasm) std.heap.wasm_allocator else std.testing.allocator;

/// Memory that lasts as long as the kernel: for configure.
pub const allocator = lasting.allocator();
var lasting_state = std.heap.ArenaAllocator.init(backing);
const lasting = &lasting_state;

/// What kind of failure Record.fail reports.
pub const Kind = enum(u16) {
    /// The same input gives the same failure.
    permanent = 0,
    /// Another attempt may help.
    retry = 1,
    /// No failure: the record ends as skipped.
    skip = 2,
};

/// One input of a batch and the answers to it. It and its bytes are valid during
/// handle only.
pub const Record = struct {
    /// Empty if the item has none.
    key: []const u8,
    /// Starts at a multiple of 8.
    value: []const u8,
    /// A JSON object of strings, or empty.
    meta: []const u8,
    /// When the item was created, in nanoseconds since 1970.
    time: u64,
    /// A function of the item.
    seed: u64,
    /// The output port of the operations that follow: an index into the
    /// manifest's "ports".
    port: u16 = 0,

    source: u32,
    value_at: u32,

    /// The record goes on as it came, without a copy.
    pub fn keep(r: *Record) void {
        _ = r.operation(.keep);
    }

    /// value[from..to] goes on, without a copy. Traps if it leaves the value.
    pub fn slice(r: *Record, from: usize, to: usize) void {
        if (from > to or to > r.value.len) @panic("slice leaves the value");
        const d = r.operation(.slice);
        d.value = r.value_at + @as(u32, @intCast(from));
        d.value_len = @intCast(to - from);
    }

    /// New bytes go on; they are copied once, into the answer.
    pub fn put(r: *Record, bytes: []const u8) void {
        @memcpy(r.putSpace(bytes.len), bytes);
    }

    /// The same as an item with a key of its own, for records that become
    /// several.
    pub fn putKey(r: *Record, key: []const u8, bytes: []const u8) void {
        const space = r.withBytes(.put, key.len + bytes.len);
        @memcpy(space[0..key.len], key);
        @memcpy(space[key.len..], bytes);
        const d = out.last();
        d.key = d.value;
        d.key_len = @intCast(key.len);
        d.value += d.key_len;
        d.value_len = @intCast(bytes.len);
    }

    /// The same as put without a copy: len bytes to write to, until the next call
    /// of any of these functions. The caller writes them all.
    pub fn putSpace(r: *Record, len: usize) []u8 {
        return r.withBytes(.put, len);
    }

    /// The same as put with a text of std.fmt.
    pub fn print(r: *Record, comptime format: []const u8, args: anytype) void {
        const space = r.putSpace(@intCast(std.fmt.count(format, args)));
        _ = std.fmt.bufPrint(space, format, args) catch unreachable;
    }

    /// Fails the record with a text of std.fmt; its other operations are void.
    pub fn fail(r: *Record, kind: Kind, comptime format: []const u8, args: anytype) void {
        r.port = @intFromEnum(kind);
        const space = r.withBytes(.err, @intCast(std.fmt.count(format, args)));
        _ = std.fmt.bufPrint(space, format, args) catch unreachable;
    }

    /// Memory that lasts until handle returns.
    pub fn allocator(_: *const Record) std.mem.Allocator {
        return scratch.allocator();
    }

    /// The SplitMix64 stream that starts at the record's seed.
    pub fn random(r: *const Record) std.rand.SplitMix64 {
        return std.rand.SplitMix64.init(r.seed);
    }

    fn operation(r: *Record, code: Code) *Operation {
        const d = out.place();
        d.* = .{ .source = r.source, .code = code, .port = r.port };
        return d;
    }

    fn withBytes(r: *Record, code: Code, len: usize) []u8 {
        const d = r.operation(code);
        d.value = @intCast(out.end);
        d.value_len = @intCast(len);
        return out.extend(len);
    }
};

/// Reads a configuration into a struct, with its defaults; keys that it does not
/// have are errors. Strings last as long as the kernel.
pub fn config(comptime T: type, json: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator, json, .{ .allocate = .alloc_always });
}

/// Exports the kernel: a struct with `configure(json: []const u8) !void` and
/// `handle(r: *Record) !void`, usually @This() of the root file.
pub fn serve(comptime Kernel: type) void {
    const exports = struct {
        fn abi() callconv(.C) i64 {
            return 0;
        }
        fn buffer(least: u32) callconv(.C) ?[*]u8 {
            return out.buffers(least);
        }
        fn init(ptr: [*]const u8, len: u32) callconv(.C) i64 {
            Kernel.configure(ptr[0..len]) catch |err| return refuse("config: ", @errorName(err));
            return 0;
        }
        fn run(ptr: [*]align(16) const u8, len: u32) callconv(.C) i64 {
            const answer = batch(Kernel, ptr[0..len]) catch |err| return refuse("bad input frame: ", @errorName(err));
            return @bitCast(@as(u64, @intFromPtr(answer.ptr)) << 32 | answer.len);
        }
    };
    @export(exports.abi, .{ .name = "k1_abi" });
    @export(exports.buffer, .{ .name = "k1_buffer" });
    @export(exports.init, .{ .name = "k1_init" });
    @export(exports.run, .{ .name = "k1_run" });
}

fn refuse(what: []const u8, why: []const u8) i64 {
    var text: [256]u8 = undefined;
    const said = std.fmt.bufPrint(&text, "{s}{s}", .{ what, why }) catch what;
    host.fail(-1, said.ptr, said.len);
    return -1;
}

/// For `pub const panic = k1.panic;` in the root file: a panic's text reaches the
/// host before the trap.
pub fn panic(message: []const u8, _: ?*std.builtin.StackTrace, _: ?usize) noreturn {
    host.fail(-1, message.ptr, message.len);
    @trap();
}

// --- The frames of spec/kernel-abi.md ----------------------------------------

const max_frame = std.math.maxInt(i32);

const InHeader = extern struct { magic: u32, flags: u32, records: u32, total: u32, time: u64, seed: u64, sequence: u64 };
const InRecord = extern struct { key: u32, key_len: u32, value: u32, value_len: u32, time: u64, seed: u64, meta: u32, meta_len: u32 };
const OutHeader = extern struct { operations: u32, total: u32, flags: u64 = 0 };
const Code = enum(u16) { keep, slice, put, err };
const Operation = extern struct { source: u32, code: Code, port: u16, key: u32 = 0, key_len: u32 = 0, value: u32 = 0, value_len: u32 = 0 };

/// The input buffer and the out frame. They grow only, and together, so that a
/// kernel whose answers are no longer than its records never grows memory inside
/// a call. Descriptors and bytes are written where the host reads them: there is
/// a place for one descriptor of each record, and a kernel that answers more
/// moves the bytes to make room, each time for twice as many.
const Out = struct {
    in: []align(16) u8 = &.{},
    frame: []align(16) u8 = &.{},
    operations: usize = 0,
    places: usize = 0,
    end: usize = 0,

    fn buffers(o: *Out, least: u32) ?[*]u8 {
        if (o.in.len < least or o.in.len == 0) {
            const size = @max(least, 1024);
            if (least > max_frame) return null;
            backing.free(o.in);
            o.in = &.{};
            o.in = backing.alignedAlloc(u8, 16, size) catch return null;
            if (o.frame.len < size) {
                backing.free(o.frame);
                o.frame = &.{};
                o.frame = backing.alignedAlloc(u8, 16, size) catch return null;
            }
        }
        return o.in.ptr;
    }

    fn begin(o: *Out, records: usize) void {
        o.* = .{ .in = o.in, .frame = o.frame };
        _ = o.extend(@sizeOf(OutHeader) + records * @sizeOf(Operation));
        o.places = records;
    }

    fn descriptors(o: *Out) [*]Operation {
        return @ptrCast(@alignCast(o.frame.ptr + @sizeOf(OutHeader)));
    }

    fn last(o: *Out) *Operation {
        return &o.descriptors()[o.operations - 1];
    }

    fn place(o: *Out) *Operation {
        if (o.operations == o.places) o.morePlaces();
        o.operations += 1;
        return o.last();
    }

    /// n more bytes at the end of the frame.
    fn extend(o: *Out, n: usize) []u8 {
        if (n > o.frame.len - o.end) o.grow(n);
        o.end += n;
        return o.frame[o.end - n .. o.end];
    }

    fn grow(o: *Out, n: usize) void {
        @setCold(true);
        if (n > max_frame - o.end) @panic("the answer is larger than 2 GiB");
        const larger = backing.alignedAlloc(u8, 16, @max(o.end + n, 2 * o.frame.len)) catch @panic("out of memory");
        @memcpy(larger[0..o.end], o.frame[0..o.end]);
        backing.free(o.frame);
        o.frame = larger;
    }

    fn morePlaces(o: *Out) void {
        @setCold(true);
        const more = o.places + 8;
        const by = more * @sizeOf(Operation);
        const from = @sizeOf(OutHeader) + o.places * @sizeOf(Operation);
        const end = o.end;
        _ = o.extend(by);
        std.mem.copyBackwards(u8, o.frame[from + by .. end + by], o.frame[from..end]);
        for (o.descriptors()[0..o.operations]) |*d| {
            if (d.code == .keep or d.code == .slice) continue;
            d.key += @intCast(by);
            d.value += @intCast(by);
        }
        o.places += more;
    }

    /// The finished frame. Without bytes, the unused places for descriptors need
    /// not be sent.
    fn finish(o: *Out) []const u8 {
        const empty = o.end == @sizeOf(OutHeader) + o.places * @sizeOf(Operation);
        const total = if (empty) @sizeOf(OutHeader) + o.operations * @sizeOf(Operation) else o.end;
        const header: *OutHeader = @ptrCast(o.frame.ptr);
        header.* = .{ .operations = @intCast(o.operations), .total = @intCast(total) };
        return o.frame[0..total];
    }
};

var out = Out{};
var scratch = std.heap.ArenaAllocator.init(backing);

const FrameError = error{ Header, Total, Records, Range };

fn part(frame: []const u8, at: u32, len: u32) FrameError![]const u8 {
    if (@as(u64, at) + len > frame.len) return error.Range;
    return frame[at..][0..len];
}

fn batch(comptime Kernel: type, frame: []align(16) const u8) FrameError![]const u8 {
    if (frame.len < @sizeOf(InHeader)) return error.Header;
    const h: *const InHeader = @ptrCast(frame.ptr);
    if (h.magic != 0x0001_314b or h.flags != 0) return error.Header;
    if (h.total != frame.len) return error.Total;
    if (h.records > (frame.len - @sizeOf(InHeader)) / @sizeOf(InRecord)) return error.Records;
    const records: [*]const InRecord = @ptrCast(@alignCast(frame.ptr + @sizeOf(InHeader)));
    out.begin(h.records);
    for (records[0..h.records], 0..) |*in, i| {
        var r = Record{
            .key = try part(frame, in.key, in.key_len),
            .value = try part(frame, in.value, in.value_len),
            .meta = try part(frame, in.meta, in.meta_len),
            .time = in.time,
            .seed = in.seed,
            .source = @intCast(i),
            .value_at = in.value,
        };
        Kernel.handle(&r) catch |err| r.fail(.permanent, "{s}", .{@errorName(err)});
        if (scratch.state.buffer_list.first != null) _ = scratch.reset(.retain_capacity);
    }
    return out.finish();
}

// --- The host ------------------------------------------------------------------

pub const Level = enum(i32) { debug = 0, info = 1, warn = 2, err = 3 };

/// A message to the log of the run, at most 4 KiB.
pub fn log(level: Level, text: []const u8) void {
    host.log(@intFromEnum(level), text.ptr, text.len);
}

/// Adds to counter id, 0 to 63; the run logs the sums at its end.
pub fn count(id: u6, delta: i64) void {
    host.counter(id, delta);
}

/// What the functions of the host that need a grant may answer.
pub const HostError = error{ NotGranted, NotFound, OverLimit, Failed, OutOfMemory };

/// The content of a digest, "sha256:...".
pub fn blob(memory: std.mem.Allocator, digest: []const u8) HostError![]const u8 {
    return ask(host.blob, memory, digest);
}

/// The value of a secret by its name.
pub fn secret(memory: std.mem.Allocator, name: []const u8) HostError![]const u8 {
    return ask(host.secret, memory, name);
}

/// A value of the kernel's state, which lasts from record to record.
pub fn stateGet(memory: std.mem.Allocator, key: []const u8) HostError![]const u8 {
    return ask(host.state_get, memory, key);
}

/// An empty value deletes the key.
pub fn statePut(key: []const u8, value: []const u8) HostError!void {
    _ = try checked(host.state_put(key.ptr, key.len, value.ptr, value.len));
}

/// Empty fields are left out.
pub const Request = struct {
    method: []const u8 = "GET",
    url: []const u8,
    /// A JSON object of strings.
    headers: []const u8 = "{}",
    /// The name of one that the grant holds.
    credential: []const u8 = "",
    body: []const u8 = "",
};

pub const Response = struct {
    status: u32,
    /// A JSON object of strings, names in lower case.
    headers: []const u8,
    body: []const u8,
};

/// One HTTP request, made by the host.
pub fn http(memory: std.mem.Allocator, q: Request) HostError!Response {
    var request = std.ArrayList(u8).init(memory);
    const w = request.writer();
    try w.writeIntLittle(u32, 0);
    try w.print("{{\"method\":{},\"url\":{}", .{ std.json.fmt(q.method, .{}), std.json.fmt(q.url, .{}) });
    if (q.credential.len > 0) try w.print(",\"credential\":{}", .{std.json.fmt(q.credential, .{})});
    try w.print(",\"headers\":{s}}}", .{q.headers});
    std.mem.writeIntLittle(u32, request.items[0..4], @intCast(request.items.len - 4));
    try w.writeAll(q.body);
    const answer = try ask(host.http, memory, request.items);
    const head = 8 + std.mem.readIntLittle(u32, answer[4..8]);
    return .{ .status = std.mem.readIntLittle(u32, answer[0..4]), .headers = answer[8..head], .body = answer[head..] };
}

/// The host's message about the last of these errors, whichever it is; ask for it at once.
pub fn reason(memory: std.mem.Allocator) HostError![]const u8 {
    const text = try memory.alloc(u8, 4096);
    return text[0..try checked(host.rest(0, text.ptr, text.len))];
}

fn checked(n: i64) HostError!usize {
    return switch (n) {
        -1 => error.NotGranted,
        -2 => error.NotFound,
        -3 => error.OverLimit,
        else => if (n < 0) error.Failed else @intCast(n),
    };
}

const Import = fn ([*]const u8, usize, [*]u8, usize) callconv(.C) i64;

fn ask(comptime import: Import, memory: std.mem.Allocator, what: []const u8) HostError![]const u8 {
    const first = try memory.alloc(u8, 4096);
    const n = try checked(import(what.ptr, what.len, first.ptr, first.len));
    if (n <= first.len) return first[0..n];
    const all = try memory.alloc(u8, n);
    @memcpy(all[0..first.len], first);
    _ = host.rest(@intCast(first.len), all.ptr + first.len, n - first.len);
    return all;
}

/// The imports; a module holds only those that it uses.
const host = if (wasm) struct {
    extern "kernel/1" fn log(level: i32, ptr: [*]const u8, len: usize) void;
    extern "kernel/1" fn fail(code: i32, ptr: [*]const u8, len: usize) void;
    extern "kernel/1" fn counter(id: i32, delta: i64) void;
    extern "kernel/1" fn state_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i64;
    extern "kernel/1" fn state_put(key: [*]const u8, key_len: usize, value: [*]const u8, len: usize) i64;
    extern "kernel/1" fn http(request: [*]const u8, len: usize, buf: [*]u8, cap: usize) i64;
    extern "kernel/1" fn blob(digest: [*]const u8, len: usize, buf: [*]u8, cap: usize) i64;
    extern "kernel/1" fn secret(name: [*]const u8, len: usize, buf: [*]u8, cap: usize) i64;
    extern "kernel/1" fn rest(from: u32, buf: [*]u8, cap: usize) i64;
} else struct {
    // A native build, for tests: nothing is granted.
    fn log(level: i32, ptr: [*]const u8, len: usize) void {
        std.debug.print("kernel log {d}: {s}\n", .{ level, ptr[0..len] });
    }
    fn fail(code: i32, ptr: [*]const u8, len: usize) void {
        std.debug.print("kernel fail {d}: {s}\n", .{ code, ptr[0..len] });
    }
    fn counter(id: i32, delta: i64) void {
        std.debug.print("kernel counter {d}: {d}\n", .{ id, delta });
    }
    fn state_get(_: [*]const u8, _: usize, _: [*]u8, _: usize) callconv(.C) i64 {
        return -1;
    }
    fn state_put(_: [*]const u8, _: usize, _: [*]const u8, _: usize) i64 {
        return -1;
    }
    const http = state_get;
    const blob = state_get;
    const secret = state_get;
    fn rest(_: u32, _: [*]u8, _: usize) i64 {
        return -1;
    }
};

// --- Tests: zig test kernel.zig ------------------------------------------------

const t = std.testing;

/// A frame of one record: "k", the value, {"a":"b"}, time 5, seed 1234567.
fn testFrame(comptime value: []const u8) []align(16) const u8 {
    const meta = "{\"a\":\"b\"}";
    const Frame = extern struct { header: InHeader, record: InRecord, value: [value.len]u8, key: [1]u8, meta: [meta.len]u8 };
    const at = @sizeOf(InHeader) + @sizeOf(InRecord);
    const static = struct {
        var frame: Frame align(16) = .{
            .header = .{ .magic = 0x0001_314b, .flags = 0, .records = 1, .total = @sizeOf(Frame), .time = 5, .seed = 1234567, .sequence = 0 },
            .record = .{ .key = at + value.len, .key_len = 1, .value = at, .value_len = value.len, .time = 5, .seed = 1234567, .meta = at + value.len + 1, .meta_len = meta.len },
            .value = value[0..value.len].*,
            .key = "k".*,
            .meta = meta.*,
        };
    };
    return @as([*]align(16) const u8, @ptrCast(&static.frame))[0..@sizeOf(Frame)];
}

fn testEnd() void {
    backing.free(out.in);
    backing.free(out.frame);
    out = .{};
    scratch.deinit();
    scratch = std.heap.ArenaAllocator.init(backing);
    lasting_state.deinit();
    lasting_state = std.heap.ArenaAllocator.init(backing);
}

fn expectOperation(frame: []const u8, i: usize, code: Code, port: u16, key: []const u8, value: []const u8) !void {
    const d = out.descriptors()[i];
    try t.expectEqual(code, d.code);
    try t.expectEqual(port, d.port);
    try t.expectEqualStrings(key, frame[d.key..][0..d.key_len]);
    try t.expectEqualStrings(value, frame[d.value..][0..d.value_len]);
}

test "the record, and each operation" {
    defer testEnd();
    const K = struct {
        pub fn handle(r: *Record) !void {
            try t.expectEqualStrings("four", r.value);
            try t.expectEqualStrings("k", r.key);
            try t.expectEqualStrings("{\"a\":\"b\"}", r.meta);
            try t.expectEqual(@as(u64, 5), r.time);
            var stream = r.random();
            try t.expectEqual(@as(u64, 6457827717110365317), stream.next());
            r.put("new");
            r.port = 3;
            r.keep();
            r.slice(1, 3);
            r.putKey("key", "value");
            r.print("{d}!", .{7});
            r.fail(.retry, "no {s}", .{"way"});
        }
    };
    _ = out.buffers(100);
    const in = testFrame("four");
    const frame = try batch(K, in);
    try t.expectEqual(@as(usize, 6), out.operations);
    try expectOperation(frame, 0, .put, 0, "", "new");
    try expectOperation(frame, 1, .keep, 3, "", "");
    try expectOperation(in, 2, .slice, 3, "", "ou");
    try expectOperation(frame, 3, .put, 3, "key", "value");
    try expectOperation(frame, 4, .put, 3, "", "7!");
    try expectOperation(frame, 5, .err, 1, "", "no way");
}

test "descriptors and bytes stay what they were when there are many" {
    defer testEnd();
    const K = struct {
        var times: usize = 0;
        pub fn handle(r: *Record) !void {
            for (0..times) |i| r.putKey(try std.fmt.allocPrint(r.allocator(), "{d}", .{i}), r.value);
        }
    };
    _ = out.buffers(100);
    for (0..200) |n| {
        K.times = n;
        const frame = try batch(K, testFrame("four"));
        try t.expectEqual(n, out.operations);
        var key: [20]u8 = undefined;
        for (0..n) |i| try expectOperation(frame, i, .put, 0, try std.fmt.bufPrint(&key, "{d}", .{i}), "four");
    }
}

test "an error fails the record" {
    defer testEnd();
    const K = struct {
        pub fn handle(_: *Record) !void {
            return error.TooBad;
        }
    };
    _ = out.buffers(100);
    try expectOperation(try batch(K, testFrame("")), 0, .err, 0, "", "TooBad");
}

test "frames against the rules" {
    defer testEnd();
    const K = struct {
        pub fn handle(_: *Record) !void {}
    };
    _ = out.buffers(100);
    var frame: [104]u8 align(16) = undefined;
    // Which u32 of the frame is wrong, and how.
    inline for (.{ .{ 0, error.Header }, .{ 1, error.Header }, .{ 2, error.Records }, .{ 3, error.Total }, .{ 10, error.Range }, .{ 13, error.Range }, .{ 19, error.Range } }) |wrong| {
        const good = testFrame("four");
        @memcpy(frame[0..good.len], good);
        std.mem.writeIntLittle(u32, frame[wrong[0] * 4 ..][0..4], 0xffff_fff0);
        try t.expectError(wrong[1], batch(K, frame[0..good.len]));
    }
    try t.expectError(error.Header, batch(K, frame[0..39]));
}

test "configuration" {
    defer testEnd();
    const C = struct { prefix: []const u8 = "none", n: u32 = 1 };
    try t.expectEqualStrings("a\n", (try config(C, "{\"prefix\":\"a\\n\"}")).prefix);
    try t.expectEqual(@as(u32, 7), (try config(C, "{\"n\":7}")).n);
    try t.expectEqualStrings("none", (try config(C, "{}")).prefix);
    try t.expectError(error.UnknownField, config(C, "{\"prefx\":\"a\"}"));
    try t.expectError(error.UnexpectedToken, config(C, "{\"prefix\":1}"));
}

test "what is not granted" {
    var memory: [16 << 10]u8 = undefined;
    var fixed = std.heap.FixedBufferAllocator.init(&memory);
    try t.expectError(error.NotGranted, secret(fixed.allocator(), "x"));
    try t.expectError(error.NotGranted, http(fixed.allocator(), .{ .url = "http://example.com/", .body = "b" }));
    try t.expectError(error.OutOfMemory, blob(t.failing_allocator, "sha256:00"));
    try t.expectError(error.NotGranted, statePut("k", "v"));
    try t.expectError(error.NotFound, checked(-2));
    try t.expectError(error.OverLimit, checked(-3));
    try t.expectError(error.Failed, checked(-4));
    try t.expectEqual(@as(usize, 9), try checked(9));
}
