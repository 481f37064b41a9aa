package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets that other users can use are warned of, by the name of their file.
func TestSecretsForEverybody(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("the mode of a file says nothing on Windows")
	}
	for _, tt := range []struct {
		flag   string
		text   string
		mode   os.FileMode
		warned bool
	}{
		{"keyring-file", `["cGFzc3dvcmRwYXNzd29yZA=="]`, 0o666, true},
		{"keyring-file", `["cGFzc3dvcmRwYXNzd29yZA=="]`, 0o644, true},
		{"keyring-file", `["cGFzc3dvcmRwYXNzd29yZA=="]`, 0o640, false},
		{"http-token-file", "0123456789abcdef", 0o666, true},
		{"http-token-file", "0123456789abcdef", 0o444, false},
		{"http-token-file", "0123456789abcdef", 0o600, false},
	} {
		t.Run(fmt.Sprintf("%s %o", tt.flag, tt.mode), func(t *testing.T) {
			dir := t.TempDir()
			file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(file, link); err != nil { // as a secret in Kubernetes is
				t.Fatal(err)
			}
			for _, asSerf := range []bool{false, true} {
				o := changed(func(o *Options) {
					o.AsSerf = asSerf
					if tt.flag == "keyring-file" {
						o.KeyringFile = link
					} else {
						o.HTTPTokenFile = link
					}
				})
				c := compiled(t, o)
				said := strings.Join(c.Warnings, "\n")
				if got := strings.Contains(said, link+": holds secrets"); got != (tt.warned && !asSerf) {
					t.Errorf("as serf %v: %q", asSerf, said)
				}
			}
		})
	}
}
