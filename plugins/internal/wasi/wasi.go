package wasi

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/module"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// function is one WASI function: its parameters and what it does. All but
// proc_exit return an error number.
type function struct {
	params []api.ValueType
	do     func(*call) uint32
}

// functions lists all of WASI preview 1; what is not offered answers ENOSYS,
// because programs link against it without calling it.
func functions() map[string]function {
	p := func(types ...api.ValueType) []api.ValueType { return types }
	return map[string]function{
		"args_get":                {p(i32, i32), argsGet},
		"args_sizes_get":          {p(i32, i32), argsSizesGet},
		"clock_res_get":           {p(i32, i32), clockResGet},
		"clock_time_get":          {p(i32, i64, i32), clockTimeGet},
		"environ_get":             {p(i32, i32), environGet},
		"environ_sizes_get":       {p(i32, i32), environSizesGet},
		"fd_advise":               {p(i32, i64, i64, i32), nosys},
		"fd_allocate":             {p(i32, i64, i64), nosys},
		"fd_close":                {p(i32), stdio},
		"fd_datasync":             {p(i32), stdio},
		"fd_fdstat_get":           {p(i32, i32), fdstatGet},
		"fd_fdstat_set_flags":     {p(i32, i32), stdio},
		"fd_fdstat_set_rights":    {p(i32, i64, i64), nosys},
		"fd_filestat_get":         {p(i32, i32), filestatGet},
		"fd_filestat_set_size":    {p(i32, i64), nosys},
		"fd_filestat_set_times":   {p(i32, i64, i64, i32), nosys},
		"fd_pread":                {p(i32, i32, i32, i64, i32), nosys},
		"fd_prestat_get":          {p(i32, i32), badf},
		"fd_prestat_dir_name":     {p(i32, i32, i32), badf},
		"fd_pwrite":               {p(i32, i32, i32, i64, i32), nosys},
		"fd_read":                 {p(i32, i32, i32, i32), fdRead},
		"fd_readdir":              {p(i32, i32, i32, i64, i32), nosys},
		"fd_renumber":             {p(i32, i32), nosys},
		"fd_seek":                 {p(i32, i64, i32, i32), fdSeek},
		"fd_sync":                 {p(i32), stdio},
		"fd_tell":                 {p(i32, i32), fdSeek},
		"fd_write":                {p(i32, i32, i32, i32), fdWrite},
		"path_create_directory":   {p(i32, i32, i32), nosys},
		"path_filestat_get":       {p(i32, i32, i32, i32, i32), nosys},
		"path_filestat_set_times": {p(i32, i32, i32, i32, i64, i64, i32), nosys},
		"path_link":               {p(i32, i32, i32, i32, i32, i32, i32), nosys},
		"path_open":               {p(i32, i32, i32, i32, i32, i64, i64, i32, i32), nosys},
		"path_readlink":           {p(i32, i32, i32, i32, i32, i32), nosys},
		"path_remove_directory":   {p(i32, i32, i32), nosys},
		"path_rename":             {p(i32, i32, i32, i32, i32, i32), nosys},
		"path_symlink":            {p(i32, i32, i32, i32, i32), nosys},
		"path_unlink_file":        {p(i32, i32, i32), nosys},
		"poll_oneoff":             {p(i32, i32, i32, i32), pollOneoff},
		"proc_raise":              {p(i32), nosys},
		"random_get":              {p(i32, i32), randomGet},
		"sched_yield":             {nil, schedYield},
		"sock_accept":             {p(i32, i32, i32), nosys},
		"sock_recv":               {p(i32, i32, i32, i32, i32, i32), nosys},
		"sock_send":               {p(i32, i32, i32, i32, i32), nosys},
		"sock_shutdown":           {p(i32, i32), nosys},
	}
}

// Signatures returns every function with its signature, for the check before
// anything is compiled.
func Signatures() map[string]module.Sig {
	sigs := map[string]module.Sig{"proc_exit": "(i32)"}
	for name, f := range functions() {
		sigs[name] = module.MakeSig(f.params, []byte{i32})
	}
	return sigs
}

// HostFunc is one function for a runtime; it finds its World in the context and
// its memory in the module that calls it.
type HostFunc struct {
	Name            string
	Params, Results []api.ValueType
	Call            api.GoModuleFunc
}

// HostFuncs returns all functions, for a runtime that takes them one by one.
func HostFuncs() []HostFunc {
	all := []HostFunc{{"proc_exit", []api.ValueType{i32}, nil, procExit}}
	for name, f := range functions() {
		all = append(all, HostFunc{name, f.params, []api.ValueType{i32}, adapt(f.do)})
	}
	return all
}

// Instantiate adds the host module wasi_snapshot_preview1 to a runtime.
func Instantiate(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(module.ImportWASI)
	for _, f := range HostFuncs() {
		b.NewFunctionBuilder().WithGoModuleFunction(f.Call, f.Params, f.Results).Export(f.Name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// adapt gives a function its world. A module without memory never gets here:
// the check before loading requires one.
func adapt(do func(*call) uint32) api.GoModuleFunc {
	return func(ctx context.Context, m api.Module, stack []uint64) {
		c := call{w: worldOf(ctx), mem: m.Memory(), args: stack}
		if c.w == nil {
			c.w = &World{}
		}
		c.w.pay(0)
		stack[0] = uint64(do(&c))
	}
}
