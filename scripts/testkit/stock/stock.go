// Package stock provides stock serf programs to tests and benchmarks that run
// against the real thing. It builds them from the module proxy, at their tags.
package stock

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The releases of serf that tests run against. Not all of them call themselves so:
// v0.11.0 says 0.10.2-dev, v0.10.2 and v0.9.8 say 0.8.2-dev, and v0.8.5 says 0.8.2.
// Kong 0.6 to 0.8 take only v0.7.0, and Kong 0.10 takes those up to v0.8.1.
const (
	V011 = "v0.11.0"
	V010 = "v0.10.2"
	V09  = "v0.9.8"
	V085 = "v0.8.5"
	V081 = "v0.8.1"
	V070 = "v0.7.0" // the last one that understands no protocol above 4
)

// Versions are all of them, the newest first.
var Versions = []string{V011, V010, V09, V085, V081, V070}

// DirEnv names the folder that holds the programs as serf-VERSION.
// scripts/check.sh sets it; where it is unset the user's cache is used.
const DirEnv = "AGENTCTL_STOCK_SERF_DIR"

// Serf returns the path of stock serf at version. It installs it where it is not
// there yet, and fails the test where that fails: a test that needs the real serf
// never passes without it.
func Serf(tb testing.TB, version string) string {
	tb.Helper()
	path, err := Install(version)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var mu sync.Mutex

// Install returns the path of stock serf at version, building it first where it is
// not there. Safe for concurrent use, also by several processes.
func Install(version string) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	dir := os.Getenv(DirEnv)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "agentctl-test")
	}
	path := filepath.Join(dir, "serf-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, "install-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := build(version, tmp); err != nil {
		return "", fmt.Errorf("building stock serf %s: %w", version, err)
	}
	return path, os.Rename(filepath.Join(tmp, "serf"), path)
}

// build builds dir/serf. Every module has an exact version, in serf's own go.mod or
// in ours, and Go checks each against its public list of checksums.
func build(version, dir string) error {
	args := []string{"install", "github.com/hashicorp/serf/cmd/serf@" + version}
	flags := "-trimpath" // dir is outside this module, so that serf's own go.mod rules
	if program, ok := withoutModule[version]; ok {
		args = []string{"install", program}
		flags += " -mod=mod" // which writes go.sum
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(oldModule(version)), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	// Static, as serf's releases and agentctl's are: starting takes less time.
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS="+flags, "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if _, ok := withoutModule[version]; !ok {
		return nil
	}
	// With -mod=mod Go would also add what a go.mod lacks, at today's version.
	if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil {
		return err
	} else if string(text) != oldModule(version) {
		return fmt.Errorf("its go.mod has to name more modules:\n%s", text)
	}
	return nil
}
