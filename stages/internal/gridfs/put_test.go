package gridfs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func TestPages(t *testing.T) {
	half, over := make([]byte, pageBytes/2), make([]byte, pageBytes+1)
	few := make([]byte, 1)
	repeat := func(n int, data []byte) (blobs []pipeline.Blob) {
		for range n {
			blobs = append(blobs, pipeline.Blob{Data: data})
		}
		return blobs
	}
	for name, tc := range map[string]struct {
		blobs []pipeline.Blob
		want  []int
	}{
		"none":     {nil, nil},
		"by count": {repeat(2*pageSize+1, few), []int{pageSize, pageSize, 1}},
		"by bytes": {repeat(5, half), []int{2, 2, 1}},
		"large":    {append(repeat(2, over), repeat(1, few)...), []int{1, 1, 1}},
	} {
		var got []int
		for _, page := range pages(tc.blobs) {
			got = append(got, len(page))
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
