package manifest

import (
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// check lists what the schema of manifests cannot say. It compiles the schema
// of the configuration.
func (m *Manifest) check() Error {
	var found Error
	bad := func(at path, message, hint string) {
		found = append(found, Problem{at.String(), message, pipeline.CodeBadValue, hint})
	}
	if m.Reuse && m.State != StatePure {
		bad(path{"reuse"}, "only pure kernels can be reused", "leave it out")
	}
	if m.Config != nil {
		v, _ := strictJSON(m.Config) // a part of what was read already
		doc, _ := v.(map[string]any)
		var problems []Problem
		m.schema, problems = newSchema(doc)
		found = append(found, under("config", problems)...)
	}
	names := make(map[string]bool, len(m.Samples))
	size := 0
	for i := range m.Samples {
		s, at := &m.Samples[i], path{"samples", i}
		if names[s.Name] {
			bad(at.key("name"), "another sample has this name", "")
		}
		names[s.Name] = true
		size += len(s.ConfigJSON())
		found = append(found, under(at.String(), m.sampleFields(s))...)
	}
	if m.Warmup != "" && !names[m.Warmup] {
		bad(path{"warmup"}, "no sample has this name", "")
	}
	return append(found, m.checkConfigs(size)...)
}

// checkConfigs checks the configurations of all samples, of so many bytes
// together.
func (m *Manifest) checkConfigs(size int) (found Error) {
	if m.schema == nil {
		return nil
	}
	if p := m.schema.tooLarge(size); p != nil {
		return Error{*p}
	}
	for i := range m.Samples {
		at := path{"samples", i, "config"}.String()
		found = append(found, under(at, m.CheckConfig(m.Samples[i].ConfigJSON()))...)
	}
	return found
}

func (m *Manifest) checkSample(s *Sample) Error {
	return append(m.sampleFields(s), under("config", m.CheckConfig(s.ConfigJSON()))...)
}

// sampleFields lists what does not fit together in a sample, but for its
// configuration.
func (m *Manifest) sampleFields(s *Sample) (found Error) {
	bad := func(at path, message, hint string) {
		found = append(found, Problem{at.String(), message, pipeline.CodeBadValue, hint})
	}
	if s.Value != "" && s.Value64 != nil {
		bad(path{"value64"}, "stands beside value", "keep one of the two")
	}
	if s.Error != nil && len(s.Want) > 0 {
		bad(path{"error"}, "stands beside want: the operations of a record that fails are void", "keep one of the two")
	}
	for i := range s.Want {
		w, at := &s.Want[i], path{"want", i}
		if w.Value != "" && w.Value64 != nil {
			bad(at.key("value64"), "stands beside value", "keep one of the two")
		}
		if w.Op != OpPut && w.Key != "" {
			bad(at.key("key"), w.Op+" has no key of its own", "")
		}
		if w.Op == OpKeep && len(w.Bytes()) > 0 {
			bad(at.key("value"), "keep has no value of its own", "")
		}
		if w.Port != "" && !slices.Contains(m.Ports, w.Port) {
			bad(at.key("port"), "there is no port of this name", suggest(w.Port, m.Ports))
		}
	}
	return found
}
