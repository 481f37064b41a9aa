package gossip

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/hashicorp/memberlist"

	"agentctl/agent/config"
	"agentctl/agent/files"
)

// KeepKeyring begins the keyring file in the data directory, which serf only
// writes when the keys change.
func KeepKeyring(o *config.Options, ring *memberlist.Keyring, path string, logger *slog.Logger) error {
	if path == "" || path == o.KeyringFile {
		return nil
	}
	f, err := files.OpenOwn(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return writeKeyring(path, ring)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil || o.EncryptKey == "" {
		return err
	}
	if primary := base64.StdEncoding.EncodeToString(ring.GetPrimaryKey()); primary != o.EncryptKey {
		logger.Warn("the keys in the data directory are used, not the one given: to begin anew with that, move the file away", "file", path)
	}
	return nil
}

// writeKeyring writes keys as serf does, the primary one first.
func writeKeyring(path string, ring *memberlist.Keyring) error {
	var keys []string
	for _, k := range ring.GetKeys() {
		keys = append(keys, base64.StdEncoding.EncodeToString(k))
	}
	data, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, data)
}
