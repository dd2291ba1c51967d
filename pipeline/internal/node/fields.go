package node

import (
	"reflect"
	"strings"
)

// FieldInfo is what the tags of a config's field say.
//
//	`yaml:"name"`            required
//	`yaml:"name,optional"`   may be left out
//	`yaml:",inline"`         the fields of this struct belong to the outer one
//	`enum:"a|b|c"`           the allowed strings
//	`min:"1"` `max:"9"`      bounds, written as in a file
//	`secret:"false"`         a reference here is nothing to hide
//
// Fields without a yaml tag, or with "-", are not part of the config.
type FieldInfo struct {
	Name     string
	Optional bool
	Enum     []string
	Min, Max string
	Public   bool
	// Index leads to the field from the outermost struct.
	Index []int
	// Owner and GoName find the field's comment in the source.
	Owner  reflect.Type
	GoName string
	Type   reflect.Type
}

type structInfo struct {
	fields []FieldInfo
	byName map[string]*FieldInfo
	names  []string
}

// StructFields lists the config fields of a struct type in order, inline
// structs unfolded. Two fields of one name are a programmer's error.
func StructFields(t reflect.Type) []FieldInfo { return inspect(t).fields }

func inspect(t reflect.Type) *structInfo {
	info := &structInfo{byName: map[string]*FieldInfo{}}
	collect(t, nil, &info.fields)
	for i := range info.fields {
		f := &info.fields[i]
		if info.byName[f.Name] != nil {
			panic("node: " + t.String() + " has two fields named " + f.Name)
		}
		info.byName[f.Name] = f
		info.names = append(info.names, f.Name)
	}
	return info
}

func collect(t reflect.Type, index []int, out *[]FieldInfo) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		at := append(append([]int(nil), index...), i)
		name, option, _ := strings.Cut(tag, ",")
		switch {
		case !ok || tag == "-":
			continue
		case option == "inline":
			collect(f.Type, at, out)
			continue
		case !f.IsExported():
			panic("node: the yaml tag on the unexported " + t.String() + "." + f.Name)
		case name == "" || option != "" && option != "optional":
			panic("node: bad yaml tag on " + t.String() + "." + f.Name)
		}
		*out = append(*out, FieldInfo{
			Name: name, Optional: option == "optional", Enum: enumOf(f.Tag.Get("enum")),
			Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Public: f.Tag.Get("secret") == "false",
			Index: at, Owner: t, GoName: f.Name, Type: f.Type,
		})
	}
}

func enumOf(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, "|")
}

func (d *Document) structInfo(t reflect.Type) *structInfo {
	info := d.types[t]
	if info == nil {
		info = inspect(t)
		d.types[t] = info
	}
	return info
}
