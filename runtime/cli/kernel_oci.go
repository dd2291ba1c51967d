package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) kernelPush() *cobra.Command {
	return &cobra.Command{
		Use:   "push FILE REF",
		Short: "Publishes a kernel in an OCI registry",
		Long: "Uploads a module, or that of the project in a folder, and lets the tag stand for it. The artifact has the\n" +
			"CNCF layout for WebAssembly: its layer is the file itself. Name, version and description come from the\n" +
			"kernel's manifest. Credentials are those of docker login. Only with a registry on this machine\n" +
			"(localhost) plain HTTP is spoken; any other must have TLS.",
		Example: "  waybill kernel push readable.wasm oci://registry.example.com/kernels/readable:1.0\n" +
			"  waybill kernel push . oci://localhost:5000/demo:dev",
		Args: args(cobra.ExactArgs(2), "name the kernel, then oci://registry/name:tag"),
		RunE: a.kernel(func(cmd *cobra.Command, args []string) error {
			k, err := a.parts.Kernels.Push(cmd.Context(), pipeline.KernelTransfer{File: args[0], Ref: args[1], CacheDir: cacheDir(), Progress: a.progress()})
			return a.transferred(k, err)
		}),
	}
}

func (a *app) kernelPull() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pull REF",
		Short: "Fetches a kernel from an OCI registry",
		Long: "Downloads a module into the cache, where a pipeline file can name it by its digest, and writes it to a file\n" +
			"if one is given. Its bytes are compared with the digest in the registry's manifest, and that with the one in\n" +
			"the reference. The reference that is printed always means the same content; the tag may be moved.",
		Example: "  waybill kernel pull oci://registry.example.com/kernels/readable:1.0 -o readable.wasm",
		Args:    args(cobra.ExactArgs(1), "name oci://registry/name:tag or oci://registry/name@sha256:..."),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file to write")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		k, err := a.parts.Kernels.Pull(cmd.Context(), pipeline.KernelTransfer{File: out, Ref: args[0], CacheDir: cacheDir(), Progress: a.progress()})
		return a.transferred(k, err)
	})
	return cmd
}

// transferred reports what was pushed or pulled.
func (a *app) transferred(k pipeline.KernelArtifact, err error) error {
	switch {
	case err != nil:
		return kernelFailed(err)
	case a.json:
		return a.printJSON(k)
	}
	fmt.Fprintf(a.stdout, "%s\n  module  %s  %s bytes\n", k.Pinned, k.Digest, thousands(k.Size))
	if k.File != "" {
		fmt.Fprintf(a.stdout, "  file    %s\n", k.File)
	}
	return nil
}

func (a *app) kernelLock() *cobra.Command {
	var update bool
	cmd := &cobra.Command{
		Use:   "lock PIPELINE",
		Short: "Pins the kernels that a pipeline file takes from registries",
		Long: "Asks the registries what the tags in the file stand for and writes it into waybill.lock beside the file: put\n" +
			"it under version control. check and run take exactly that, and refuse a tag that is not in it. What is pinned\n" +
			"stays pinned, wherever its tag moves; --update asks again. Kernels are fetched into the cache, so that a run\n" +
			"afterwards needs no registry.",
		Example: "  waybill kernel lock pipeline.yaml\n  waybill kernel lock --update pipeline.yaml",
		Args:    args(cobra.ExactArgs(1), "name one pipeline file"),
	}
	cmd.Flags().BoolVar(&update, "update", false, "ask again what pinned tags stand for")
	cmd.RunE = a.kernel(func(cmd *cobra.Command, args []string) error {
		locked, err := a.parts.Kernels.Lock(cmd.Context(), pipeline.KernelLock{
			File: args[0], Set: a.set().Caching(cacheDir()), Update: update, CacheDir: cacheDir(), Progress: a.progress()})
		var problems pipeline.Problems
		switch {
		case errors.As(err, &problems):
			return err
		case err != nil:
			return kernelFailed(err)
		case a.json:
			return a.printJSON(locked)
		}
		a.printPins(locked)
		return nil
	})
	return cmd
}

func (a *app) printPins(l pipeline.KernelLocked) {
	for _, p := range l.Pins {
		was := ""
		if p.Was != "" {
			was = ", was " + p.Was.Short()
		}
		fmt.Fprintf(a.stdout, "%-5s %s  %s%s, %s bytes\n", p.Change, p.Use, p.Digest.Short(), was, thousands(p.Size))
	}
	fmt.Fprintf(a.stdout, "%s in %s\n", count(int64(len(l.Pins)), "kernel"), l.File)
}
