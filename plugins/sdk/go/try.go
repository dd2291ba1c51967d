package kernel

// Input is a record for Try. Zero fields are empty.
type Input struct {
	Key, Value, Meta []byte
	// TimeNanos is nanoseconds since 1970.
	TimeNanos, Seed uint64
}

// Answer is what a handler did with one record.
type Answer struct {
	// Values are the results in order: kept, sliced and new ones alike. Empty
	// and without Err, the record was dropped.
	Values [][]byte
	// Ports are the output ports of the Values; nil if all are 0.
	Ports []uint16
	// Err is the handler's message if it failed the record, and Retry and
	// Skipped what kind of failure it is.
	Err            string
	Retry, Skipped bool
}

// Try runs a handler over records in an ordinary test, with the frames that the
// host would use. The error is for records that no frame can hold.
func Try(h Handler, records ...Input) ([]Answer, error) {
	frame := inputFrame(records)
	out, err := new(batch).handle(h, frame)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(records))
	for _, o := range readOps(frame, out) {
		a := &answers[o.src]
		if o.code == opErr {
			a.Err, a.Retry, a.Skipped = string(o.value), o.port == portRetry, o.port == portSkip
			continue
		}
		if o.code == opKeep {
			o.value = records[o.src].Value
		}
		a.Values = append(a.Values, append([]byte{}, o.value...))
		if o.port != 0 || a.Ports != nil {
			a.Ports = append(append(a.Ports, make([]uint16, len(a.Values)-1-len(a.Ports))...), o.port)
		}
	}
	return answers, nil
}
