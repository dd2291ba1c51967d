package wasmbin

// AppendU32 appends an unsigned LEB128 number.
func AppendU32(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// AppendS64 appends a signed LEB128 number.
func AppendS64(b []byte, n int64) []byte {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// AppendBytes appends a length and the bytes.
func AppendBytes(b, bytes []byte) []byte {
	return append(AppendU32(b, uint32(len(bytes))), bytes...)
}

// AppendName appends a name.
func AppendName(b []byte, name string) []byte {
	return append(AppendU32(b, uint32(len(name))), name...)
}
