package pipeline

// Load parses and checks a pipeline file. All problems are returned at once;
// the plan is nil if there is any. check, plan, test and run all come through
// here, so what check passes run accepts. src is the file's content; file is
// used in positions and its folder for relative paths.
func Load(file string, src []byte, set *Set) (*Plan, Problems) { return nil, nil }

// LoadFile reads and loads a file. An unreadable file is a Problem too.
func LoadFile(file string, set *Set) (*Plan, Problems) { return nil, nil }
