package gossip

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/memberlist"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

// The file in the data directory rules once it is there. A key that is given beside
// it, and is not its first one, is warned of.
func TestKeyringFileRules(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 16)
	given := base64.StdEncoding.EncodeToString(key)
	ring, err := memberlist.NewKeyring([][]byte{bytes.Repeat([]byte{8}, 16)}, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "serf.keyring")
	logger, log := testkit.NewLog()
	keep := func(key, path string, ring *memberlist.Keyring) error {
		return KeepKeyring(&config.Options{EncryptKey: key}, ring, path, logger)
	}

	if err := keep(given, path, ring); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	var keys []string
	if err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != 2 || keys[0] != given {
		t.Fatalf("the file holds %s, %v; want two keys, the primary one first", data, err)
	}
	for name, key := range map[string]string{"the same": given, "none": ""} {
		if err := keep(key, path, ring); err != nil || log.String() != "" {
			t.Errorf("%s: %v, %s", name, err, log)
		}
	}
	if err := keep(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 16)), path, ring); err != nil || log.Count("level=WARN", "not the one given", path) != 1 {
		t.Errorf("another key: %v, %s", err, log)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Errorf("the file was changed to %s, %v", now, err)
	}
	if err := keep(given, filepath.Join(path, "below a file"), ring); err == nil {
		t.Error("no error although the file cannot be looked for")
	}
}
