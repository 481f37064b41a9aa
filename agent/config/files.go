package config

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/memberlist"
)

// What -data-dir holds beside the journal.
const (
	SnapshotFile = "serf.snapshot"
	KeyringFile  = "serf.keyring"
)

// Keyring reads the keys that gossip is encrypted with, nil for none, and tells
// the file that is to keep them. A keyring in the data directory rules over
// the key of -encrypt, which begins one: the keys may have been rotated since.
func (o *Options) Keyring() (ring *memberlist.Keyring, path string, err error) {
	if o.KeyringFile != "" {
		if ring, err = ReadKeyring(o.KeyringFile); err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.Label("keyring-file"), err)
		}
		return ring, o.KeyringFile, nil
	}
	if o.DataDir != "" {
		path = filepath.Join(o.DataDir, KeyringFile)
		ring, err = ReadKeyring(path)
		if err == nil {
			return ring, path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%w; restore the file, or move it away and begin a new one with the cluster's key as -encrypt", err)
		}
	}
	if o.EncryptKey == "" {
		return nil, "", nil
	}
	key, err := base64.StdEncoding.DecodeString(o.EncryptKey)
	if err == nil {
		ring, err = memberlist.NewKeyring(nil, key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", o.Label("encrypt"), err)
	}
	return ring, path, nil
}

// JournalLine says, for Check, where the journal is.
func (o *Options) JournalLine() string {
	return fmt.Sprintf("%s; at most %d events or %v of history, and %d that wait for each target",
		cmp.Or(o.DataDir, "in memory"), o.JournalMaxEvents, o.JournalMaxAge, o.QueueMaxEvents)
}

// ReadTags reads a tags file; one that is not there yet has no tags.
func ReadTags(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if err := json.Unmarshal(data, &tags); err != nil {
		return nil, fmt.Errorf("%s is not a JSON object of texts: %w", path, err)
	}
	return tags, nil
}

// ReadKeyring reads a JSON list of base64 keys, the first of them primary.
func ReadKeyring(path string) (*memberlist.Keyring, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var encoded []string
	if err := json.Unmarshal(data, &encoded); err != nil {
		return nil, fmt.Errorf("%s is not a JSON list of keys: %w", path, err)
	}
	if len(encoded) == 0 {
		return nil, fmt.Errorf("%s holds no keys: put one from \"agentctl keygen\" in it", path)
	}
	keys := make([][]byte, len(encoded))
	for i, s := range encoded {
		if err := checkKey(s); err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", path, i+1, err)
		}
		keys[i], _ = base64.StdEncoding.DecodeString(s) // checkKey has seen to it
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil { // an empty key
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}
