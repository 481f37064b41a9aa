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

// The releases of serf that tests run against. v0.11.0 calls itself
// 0.10.2-dev, v0.8.5 calls itself 0.8.2.
const (
	V011 = "v0.11.0"
	V085 = "v0.8.5"
)

// DirEnv names the folder that holds the programs as serf-VERSION.
// scripts/check.sh sets it; where it is unset the user's cache is used.
const DirEnv = "AGENTCTL_STOCK_SERF_DIR"

var mu sync.Mutex

// Serf returns the path of stock serf at version. It installs it with
// "go install" where it is not there yet, and fails the test where that fails:
// a test that needs the real serf never passes without it.
func Serf(tb testing.TB, version string) string {
	tb.Helper()
	path, err := Install(version)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Install returns the path of stock serf at version, installing it first where
// it is not there. Safe for concurrent use, also by several processes.
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
	cmd := exec.Command("go", "install", "github.com/hashicorp/serf/cmd/serf@"+version)
	cmd.Dir = tmp // outside this module, so that serf's own go.mod rules
	// Static, as serf's releases and agentctl's are: starting takes less time.
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing stock serf %s: %w\n%s", version, err, out)
	}
	return path, os.Rename(filepath.Join(tmp, "serf"), path)
}
