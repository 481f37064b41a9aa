package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

// Somebody may make names in the data directory, and puts a link to a precious file in the
// place of each file that an agent makes there, one after the other. The agent writes
// through none of them, whether it starts or not, and warns of the directory.
func TestNoFileOfTheDataDirectoryFollowsALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the mode of a file says nothing on Windows")
	}
	bubble(t, func(t *testing.T) {
		// A keyring is precious, too, and the one file that could pass for an agent's own.
		const first, second = "cGFzc3dvcmRwYXNzd29yZA==", "d29yZHBhc3N3b3JkcGFzcw=="
		const precious = `["` + first + `"]`
		encrypted := func(o *config.Options) { o.EncryptKey = first }
		// live has an agent write all its files. It returns nil if the agent does not start.
		live := func(dir string) *node {
			conf, err := config.Compile(config.Input{Defaults: options(in(dir), named("linked"), encrypted)})
			if err != nil {
				return nil
			}
			hub, buf := newHub(t)
			a, err := newOn(t, conf, hub, Hooks{})
			if err != nil {
				return nil
			}
			n, other := run(t, a, buf), start(t, encrypted)
			join(t, n, other)
			if _, err := n.keys().InstallKey(second); err != nil {
				t.Logf("installing a key: %v", err)
			}
			publishTo(t, n, "1")
			n.crash(t)
			other.crash(t)
			return n
		}
		model := filepath.Join(t.TempDir(), "model")
		if live(model) == nil {
			t.Fatal("the agent does not start")
		}
		made, err := os.ReadDir(model)
		if err != nil || len(made) < 5 {
			t.Fatalf("%v, %v", made, err)
		}
		for _, f := range made {
			for _, name := range []string{f.Name(), f.Name() + ".new"} {
				dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
				if err := os.WriteFile(victim, []byte(precious), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(dir, 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				n := live(dir)
				data, err := os.ReadFile(victim)
				if err != nil {
					t.Fatal(err)
				}
				testkit.Want(t, "the file behind "+name, string(data), precious)
				if n == nil {
					continue
				}
				if n.log.Count("level=WARN", "every user of this machine may write to the data directory") != 1 {
					t.Errorf("%s: no warning: %s", name, n.log)
				}
				left, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range left {
					if info, err := f.Info(); err != nil || info.Mode().IsRegular() && info.Mode() != 0o600 {
						t.Errorf("%s: %v, %v", f.Name(), info, err)
					}
				}
			}
		}
	})
}

// An operator's own link to the data directory, and to a keyring that is named by a flag,
// go on working.
func TestOperatorsLinksWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		base := t.TempDir()
		dir, keys := filepath.Join(base, "dir"), filepath.Join(base, "keys")
		if err := os.WriteFile(keys, []byte(`["cGFzc3dvcmRwYXNzd29yZA=="]`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, keys} {
			if err := os.Symlink(path, path+"-link"); err != nil {
				t.Fatal(err)
			}
		}
		n := start(t, in(dir+"-link"), func(o *config.Options) { o.KeyringFile = keys + "-link" })
		if _, err := n.keys().InstallKey("d29yZHBhc3N3b3JkcGFzcw=="); err != nil {
			t.Error(err)
		}
		n.crash(t)
		if _, err := os.Stat(filepath.Join(dir, "serf.snapshot")); err != nil {
			t.Error(err)
		}
		if info, err := os.Lstat(keys + "-link"); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%v, %v", info, err)
		}
	})
}
