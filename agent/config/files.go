package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// What -data-dir holds beside the journal.
const (
	SnapshotFile = "serf.snapshot"
	keyringFile  = "serf.keyring"
)

// Bounds of files, in bytes.
const (
	maxSecretSize = 64 << 10
	maxFileSize   = 16 << 20 // of any other file: more is read by mistake
)

// files holds what was read, by path: each file is read once, so that all that
// use it see the same text. A nil files reads anew each time.
type files map[string]content

type content struct {
	data []byte
	err  error
	mode fs.FileMode
	// lacks are the bits of the mode that others must not have: those of a secret.
	lacks fs.FileMode
}

// Bits of a secret's mode. Whoever writes a file of keys or tokens chooses them. The keys
// of gossip also have to be unreadable. Tokens may be readable, because docker gives them
// out that way.
const (
	noOtherWrites fs.FileMode = 0o002
	noOtherUse    fs.FileMode = 0o006
)

// mustLack notes what other users must not do with a file that was read.
func (f files) mustLack(path string, bits fs.FileMode) {
	if c, ok := f[path]; ok {
		c.lacks |= bits
		f[path] = c
	}
}

// warnOfModes warns of secrets that other users of the machine can read or exchange. Serf
// does not, and the mode says nothing on Windows.
func (c *compiler) warnOfModes() {
	if c.opts.AsSerf || runtime.GOOS == "windows" {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(c.files)) {
		if f := c.files[path]; f.mode&f.lacks != 0 {
			c.warn(fmt.Sprintf("%s: holds secrets, and its mode is %#o: every user of this machine can use it; run chmod 600 on it", path, f.mode), "")
		}
	}
}

// read returns a file's text of at most so many bytes.
func (f files) read(path string, most int) ([]byte, error) {
	c, ok := f[path]
	if !ok {
		c.data, c.mode, c.err = readLimited(path)
		if f != nil {
			f[path] = c
		}
	}
	if c.err == nil && len(c.data) > most {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return c.data, c.err
}

// readLimited reads a file, and stops soon after maxFileSize.
func readLimited(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	return data, info.Mode().Perm(), err
}

// ReadSecret reads a file that holds one secret, which a newline may follow.
func ReadSecret(path string) (string, error) { return files(nil).secret(path) }

func (f files) secret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxSecretSize {
		return "", fmt.Errorf("%s: larger than %d bytes", path, maxSecretSize)
	}
	data, err := f.read(path, maxSecretSize)
	if err != nil {
		return "", err
	}
	f.mustLack(path, noOtherWrites)
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// tags reads a tags file; one that is not there yet has no tags.
func (f files) tags(path string) (map[string]string, error) {
	data, err := f.read(path, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if json.Unmarshal(data, &tags) != nil {
		return nil, wrongTexts(path, data, '{', "a JSON object of texts")
	}
	return tags, nil
}

// keyring reads a JSON list of base64 keys, the first of them primary.
func (f files) keyring(path string) ([][]byte, error) {
	data, err := f.read(path, maxFileSize)
	if err != nil {
		return nil, err
	}
	f.mustLack(path, noOtherUse)
	var encoded []string
	if json.Unmarshal(data, &encoded) != nil {
		return nil, wrongTexts(path, data, '[', "a JSON list of keys")
	}
	if len(encoded) == 0 {
		return nil, fmt.Errorf("%s holds no keys: put one from \"agentctl keygen\" in it", path)
	}
	keys := make([][]byte, len(encoded))
	for i, s := range encoded {
		if keys[i], err = decodeKey(s); err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", path, i+1, err)
		}
	}
	return keys, nil
}

// wrongTexts says what keeps a file from being an object or a list of texts, without
// repeating what it holds.
func wrongTexts(path string, data []byte, begin json.Delim, want string) error {
	r := &fileReader{file: path, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	if m := findMistake(data); m != nil {
		return fmt.Errorf("%s: not %s: %s", r.location(int64(m.at)), want, m.what)
	}
	at := r.next()
	if tok, _ := r.dec.Token(); tok == begin {
		for r.dec.More() {
			if begin == '{' {
				r.dec.Token() // the key
			}
			at = r.next()
			var value json.RawMessage
			if r.dec.Decode(&value); value[0] != '"' && value[0] != 'n' {
				break
			}
		}
		return fmt.Errorf("%s: not %s: %s stands where a text belongs", r.location(at), want, kind(data[at:]))
	}
	return fmt.Errorf("%s: not %s, but %s", r.location(at), want, kind(data[at:]))
}

// decodeKey takes base64 of 16, 24 or 32 bytes.
func decodeKey(key string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, errors.New("the key is not base64: make one with \"agentctl keygen\"")
	}
	if n := len(raw); n != 16 && n != 24 && n != 32 {
		return nil, fmt.Errorf("the key has %d bytes, want 16, 24 or 32: make one with \"agentctl keygen\"", n)
	}
	return raw, nil
}

// compileKeys reads the keys that gossip is encrypted with, the primary one
// first, and tells the file that is to keep them. A keyring in the data directory
// rules over the key of -encrypt, which begins one: the keys may have been
// rotated since.
func (c *compiler) compileKeys() (keys [][]byte, path string) {
	o := &c.opts
	var given [][]byte
	if o.EncryptKey != "" {
		key, err := decodeKey(o.EncryptKey)
		if err != nil {
			c.bad("encrypt", "%w", err)
		}
		given = [][]byte{key}
	}
	if o.KeyringFile != "" {
		if o.EncryptKey != "" {
			c.bad("encrypt", "cannot be given together with %s, which holds the keys itself", c.locations.called("keyring-file"))
			return nil, ""
		}
		keys, err := c.files.keyring(o.KeyringFile)
		if err != nil {
			c.bad("keyring-file", "%w", err)
		}
		return keys, o.KeyringFile
	}
	if o.DataDir != "" {
		path = filepath.Join(o.DataDir, keyringFile)
		keys, err := c.files.keyring(path)
		if err == nil {
			return keys, path
		}
		if !errors.Is(err, fs.ErrNotExist) {
			c.problem(fmt.Errorf("%w; restore the file, or move it away and begin a new one with the cluster's key as -encrypt", err))
		}
	}
	if given == nil {
		return nil, ""
	}
	return given, path
}

// compileTags are the tags that the node begins with.
func (c *compiler) compileTags() map[string]string {
	o := &c.opts
	if o.TagsFile == "" {
		return o.Tags
	}
	if len(o.Tags) > 0 {
		c.bad("tags-file", "cannot be given together with %s", c.locations.called("tag"))
	}
	tags, err := c.files.tags(o.TagsFile)
	if err != nil {
		c.bad("tags-file", "%w", err)
	}
	return tags
}
