package toolchain

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	// ascPackage is the compiler that the committed modules were made with.
	ascPackage = "assemblyscript@0.28.20"
	ascConfig  = "asconfig.json"
	// ascScript is the compiler below a folder that npm installed into.
	ascScript = "node_modules/assemblyscript/bin/asc.js"
)

// assemblyscriptBuilder compiles with asc, an npm package: the project's own or
// the one that scripts/toolchains installed. The flags stand in the project's
// asconfig.json, where an editor finds them too.
func assemblyscriptBuilder() Builder {
	return Builder{Lang: "assemblyscript", Detect: isAssemblyScript, Find: findAssemblyScript, Build: buildAssemblyScript}
}

func isAssemblyScript(dir string) bool {
	if isFile(filepath.Join(dir, ascConfig)) {
		return true
	}
	packages, err := os.ReadFile(filepath.Join(dir, "package.json"))
	return err == nil && bytes.Contains(packages, []byte(`"assemblyscript"`))
}

func findAssemblyScript() error {
	_, err := asc(".")
	return err
}

// asc finds node and the compiler for a project.
func asc(dir string) ([]string, error) {
	hint := "install Node.js 20 with npm, then npm install " + ascPackage + " in the project, or scripts/toolchains assemblyscript"
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, &Missing{Lang: "assemblyscript", What: "node", Hint: hint}
	}
	for _, place := range []string{dir, filepath.Join(npmTools(), "assemblyscript")} {
		if script, err := filepath.Abs(filepath.Join(place, ascScript)); err == nil && isFile(script) {
			return []string{node, script}, nil
		}
	}
	return nil, &Missing{Lang: "assemblyscript", What: "the npm package assemblyscript", Hint: hint}
}

// npmTools is where scripts/toolchains installs npm packages.
func npmTools() string {
	if dir := os.Getenv("WAYBILL_TOOLS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "waybill", "tools")
}

// buildAssemblyScript runs the compiler inside the project: the names of
// functions and the places in messages are relative to it, so the module does
// not depend on the folder.
func buildAssemblyScript(ctx context.Context, dir, out string, log io.Writer) error {
	compiler, err := asc(dir)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	args := append(compiler[1:], "--config", ascConfig, "--outFile", out)
	cmd := exec.CommandContext(ctx, compiler[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ASC_FLAGS=", "NODE_OPTIONS=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("asc: %w", err)
	}
	return nil
}
