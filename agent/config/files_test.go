package config

import (
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
)

const someKey = "cGFzc3dvcmRwYXNzd29yZA=="

func TestFilesThatCannotBeUsed(t *testing.T) {
	keyring := func(text string) func(*Options) {
		return func(o *Options) { o.KeyringFile = testkit.WriteFile(t, text) }
	}
	dir := t.TempDir()
	testkit.WriteTo(t, filepath.Join(dir, keyringFile), "[]")
	for name, tt := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"keyring none":     {func(o *Options) { o.KeyringFile = "/no/keyring" }, []string{"keyring-file: ", "/no/keyring"}},
		"keyring text":     {keyring("hidden"), []string{"keyring-file: ", ":1:1: not a JSON list of keys: "}},
		"keyring empty":    {keyring("[]"), []string{"keyring-file: ", "holds no keys", "agentctl keygen"}},
		"keyring bad":      {keyring(`["` + someKey + `", "hidden"]`), []string{"keyring-file: ", "key 2: the key is not base64"}},
		"keyring no key":   {keyring(`[""]`), []string{"keyring-file: ", ": key 1: the key has 0 bytes"}},
		"keyring kept":     {func(o *Options) { o.DataDir = dir }, []string{dir, "holds no keys", keyringFile, "; restore the file, or move it away and begin a new one with the cluster's key as -encrypt"}},
		"tags file":        {func(o *Options) { o.TagsFile = testkit.WriteFile(t, "[]") }, []string{"tags-file: ", ":1:1: not a JSON object of texts, but a list"}},
		"token too large":  {func(o *Options) { o.HTTPTokenFile = testkit.WriteFile(t, strings.Repeat("x", 1<<17)) }, []string{"http-token-file: ", "larger than 65536 bytes"}},
		"token is a blank": {func(o *Options) { o.HTTPTokenFile = testkit.WriteFile(t, "\n") }, []string{"http-token-file: ", "is empty"}},
	} {
		_, err := Compile(Input{Defaults: changed(tt.change)})
		if err == nil {
			t.Errorf("%s: it is taken", name)
			continue
		}
		for _, part := range tt.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
		if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q shows a secret or is more than a line", name, err)
		}
	}
}

// Files that cannot be used are named together with everything else.
func TestFilesAndSettingsAtOnce(t *testing.T) {
	_, err := Compile(Input{Defaults: changed(func(o *Options) {
		o.Profile, o.KeyringFile, o.TagsFile = "x", testkit.WriteFile(t, "[]"), testkit.WriteFile(t, "[]")
		o.Targets = []TargetOptions{{URL: "http://h/", BearerTokenFile: "/none"}}
	})})
	if err == nil {
		t.Fatal("it is taken")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"profile: ", "keyring-file: ", "tags-file: ", "targets[0].bearer_token_file: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("%q, want %q as number %d", lines, want, i)
		}
	}
}

func TestKeysAndTheirFile(t *testing.T) {
	const other = "d29yZHBhc3N3b3JkcGFzcw=="
	ring, empty, full := testkit.WriteFile(t, `["`+other+`", "`+someKey+`"]`), t.TempDir(), t.TempDir()
	testkit.WriteTo(t, filepath.Join(full, keyringFile), `["`+other+`"]`)
	for name, tt := range map[string]struct {
		change func(*Options)
		keys   []string
		file   string
	}{
		"none":            {func(o *Options) {}, nil, ""},
		"none to keep":    {func(o *Options) { o.DataDir = empty }, nil, ""},
		"given":           {func(o *Options) { o.EncryptKey = someKey }, []string{"passwordpassword"}, ""},
		"given, kept":     {func(o *Options) { o.EncryptKey, o.DataDir = someKey, empty }, []string{"passwordpassword"}, filepath.Join(empty, keyringFile)},
		"kept rules":      {func(o *Options) { o.EncryptKey, o.DataDir = someKey, full }, []string{"wordpasswordpass"}, filepath.Join(full, keyringFile)},
		"kept":            {func(o *Options) { o.DataDir = full }, []string{"wordpasswordpass"}, filepath.Join(full, keyringFile)},
		"a keyring":       {func(o *Options) { o.KeyringFile = ring }, []string{"wordpasswordpass", "passwordpassword"}, ring},
		"a keyring rules": {func(o *Options) { o.KeyringFile, o.DataDir = ring, full }, []string{"wordpasswordpass", "passwordpassword"}, ring},
	} {
		conf := compiled(t, changed(tt.change))
		var keys []string
		for _, k := range conf.Keys {
			keys = append(keys, string(k))
		}
		testkit.Want(t, name, keys, tt.keys)
		testkit.Want(t, name+": file", conf.KeysFile, tt.file)
	}
}

func TestTagsComeFromTheirFile(t *testing.T) {
	conf := compiled(t, changed(func(o *Options) { o.TagsFile = testkit.WriteFile(t, `{"a": "b"}`) }))
	testkit.Want(t, "tags", conf.NodeTags, map[string]string{"a": "b"})
	conf = compiled(t, changed(func(o *Options) { o.TagsFile = filepath.Join(t.TempDir(), "none") }))
	testkit.Want(t, "no tags yet", conf.NodeTags, map[string]string{})
}
