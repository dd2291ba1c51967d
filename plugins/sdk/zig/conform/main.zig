//! The conformance kernel: the same in every language.
const std = @import("std");
const k1 = @import("waybill/kernel.zig");

pub const panic = k1.panic;

comptime {
    k1.serve(@This());
}

var prefix: []const u8 = "";

pub fn configure(json: []const u8) !void {
    prefix = (try k1.config(struct { prefix: []const u8 = "" }, json)).prefix;
}

pub fn handle(r: *k1.Record) !void {
    if (r.value.len == 0) return;
    const rest = r.value[1..];
    switch (r.value[0]) {
        '#' => r.keep(),
        '=' => r.slice(1, r.value.len),
        '!' => r.fail(.permanent, "refused: {s}", .{rest}),
        '?' => r.fail(.retry, "later: {s}", .{rest}),
        '~' => r.fail(.skip, "skipped: {s}", .{rest}),
        '@' => {
            var stream = r.random();
            r.print("key={s} meta={s} time={d} seed={d} rand={d}", .{ r.key, r.meta, r.time, r.seed, stream.next() });
        },
        ',' => try split(r, rest),
        '$' => @panic("the record says so"),
        '+' => {
            k1.log(.info, rest);
            k1.count(1, @intCast(rest.len));
            r.keep();
        },
        else => upper(r),
    }
}

/// A put for each part between commas, with its index among them as key.
fn split(r: *k1.Record, rest: []const u8) !void {
    var parts = std.mem.tokenizeScalar(u8, rest, ',');
    var index: usize = 0;
    while (parts.next()) |part| : (index += 1) {
        r.putKey(try std.fmt.allocPrint(r.allocator(), "{d}", .{index}), part);
    }
}

fn upper(r: *k1.Record) void {
    const to = r.putSpace(prefix.len + r.value.len);
    @memcpy(to[0..prefix.len], prefix);
    for (r.value, to[prefix.len..]) |c, *d| d.* = std.ascii.toUpper(c);
}
