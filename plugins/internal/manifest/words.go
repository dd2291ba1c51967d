package manifest

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// decimalText renders a bound, exactly if it is whole.
func decimalText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// shown renders the values that a schema allows.
func shown(values []any) string {
	const most = 20
	var out []string
	for i, v := range values {
		if i == most {
			out = append(out, "...")
			break
		}
		b, _ := json.Marshal(v) // it came from JSON
		out = append(out, string(b))
	}
	return strings.Join(out, ", ")
}

// suggest is the hint beside an unknown name.
func suggest(name string, known []string) string {
	switch near := pipeline.Nearest(name, known); {
	case near != "":
		return "did you mean " + near + "?"
	case len(known) > 0:
		return "known: " + strings.Join(known, ", ")
	}
	return ""
}
