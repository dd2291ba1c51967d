package mongodb

import (
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// pairs is an item's meta, stored as a list: its names may hold dots and dollars,
// which not every server takes as names of fields. Meta that cannot be read is
// the trouble of its own item only, and not of all that are read with it.
type pairs struct {
	values map[string]string
	err    error
}

type pair struct {
	Name  string `bson:"name"`
	Value string `bson:"value"`
}

// IsZero makes empty meta absent.
func (p pairs) IsZero() bool { return len(p.values) == 0 }

// MarshalBSONValue implements bson.ValueMarshaler.
func (p pairs) MarshalBSONValue() (typ byte, data []byte, err error) {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		out = append(out, pair{name, p.values[name]})
	}
	t, data, err := bson.MarshalValue(out)
	return byte(t), data, err
}

// UnmarshalBSONValue implements bson.ValueUnmarshaler.
func (p *pairs) UnmarshalBSONValue(typ byte, data []byte) error {
	var in []pair
	if p.err = (bson.RawValue{Type: bson.Type(typ), Value: data}).Unmarshal(&in); p.err != nil {
		return nil
	}
	p.values = make(map[string]string, len(in))
	for _, e := range in {
		p.values[e.Name] = e.Value
	}
	return nil
}
