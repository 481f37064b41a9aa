package stock

import (
	"os/exec"
	"testing"
)

// TestInstall builds every release, or finds it built, and has it say what it is.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it builds stock serf")
	}
	says := map[string]string{
		V011: "0.10.2-dev\nAgent Protocol: 5 (Understands back to: 2)\n",
		V010: "0.8.2-dev\nAgent Protocol: 5 (Understands back to: 2)\n",
		V09:  "0.8.2-dev\nAgent Protocol: 5 (Understands back to: 2)\n",
		V085: "Serf v0.8.2\nAgent Protocol: 5 (Understands back to: 2)\n",
		V081: "Serf v0.8.1\nAgent Protocol: 5 (Understands back to: 2)\n",
		V070: "Serf v0.7.0\nAgent Protocol: 4 (Understands back to: 2)\n",
	}
	for _, version := range Versions {
		path := Serf(t, version)
		out, err := exec.Command(path, "version").Output()
		if err != nil || string(out) != says[version] {
			t.Errorf("serf %s says %q, %v; want %q", version, out, err, says[version])
		}
		t.Logf("stock serf %s: %s", version, path)
	}
}
