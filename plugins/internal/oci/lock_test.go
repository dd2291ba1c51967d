package oci

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	l, err := ReadLock(dir)
	if err != nil || len(l) != 0 {
		t.Fatalf("%v, %v", l, err)
	}
	l["oci://r.example.com/b:1"] = Pin{someDigest, otherDigest, 10}
	l["oci://r.example.com/a:1"] = Pin{otherDigest, someDigest, 20}
	name, err := l.Write(dir)
	if err != nil || name != filepath.Join(dir, "waybill.lock") {
		t.Fatal(name, err)
	}
	first, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := strings.Index(string(first), "/a:1"), strings.Index(string(first), "/b:1"); a < 0 || a > b || !strings.HasSuffix(string(first), "}\n") {
		t.Errorf("not sorted: %s", first)
	}
	again, err := ReadLock(dir)
	if err != nil || !maps.Equal(again, l) {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := again.Write(dir); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(name); err != nil || string(second) != string(first) {
		t.Errorf("written again: %s, %v", second, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestReadLockRefuses(t *testing.T) {
	pin := `{"manifest":"` + string(someDigest) + `","digest":"` + string(otherDigest) + `","size":1}`
	for text, want := range map[string]string{
		``:                            "EOF",
		`{"waybill":"v1"} {}`:         "more after the end",
		`{"waybill":"v2"}`:            `waybill is "v2"`,
		`{"kernels":{}}`:              `waybill is ""`,
		`{"waybill":"v1","kernel":1}`: "unknown field",
		`{"waybill":"v1","kernels":{"./k.wasm":` + pin + `}}`:                                                              "no reference",
		`{"waybill":"v1","kernels":{"oci://r.example.com/a:1":{}}}`:                                                        "not a digest",
		`{"waybill":"v1","kernels":{"oci://r.example.com/a:1":` + strings.Replace(pin, `"size":1`, `"size":-1`, 1) + `}}`:  "size is -1",
		`{"waybill":"v1","kernels":{"oci://r.example.com/a:1":` + strings.Replace(pin, string(otherDigest), "x", 1) + `}}`: `"x" is not a digest`,
		strings.Repeat(" ", maxLock+1): "larger than",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, LockFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadLock(dir)
		wantCode(t, err, CodeLock, want)
	}
	if _, err := ReadLock(filepath.Join(t.TempDir(), "x\x00y")); err == nil {
		t.Error("a folder that cannot be")
	}
}

// A lock without pins can be added to.
func TestEmptyLock(t *testing.T) {
	l, err := parseLock([]byte(`{"waybill":"v1","kernels":null}`))
	if err != nil {
		t.Fatal(err)
	}
	l["oci://r.example.com/a:1"] = Pin{}
}
