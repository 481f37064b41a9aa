package lyingfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
)

func mountHere(t *testing.T) (*FS, string) {
	t.Helper()
	dir := t.TempDir()
	fs := Mount(t, dir, 0)
	if fs == nil {
		testkit.NotRun(t, "it needs Linux, and root that may mount a file system of its own")
	}
	return fs, dir
}

// steps are what a program does in a directory. The first failure ends the test.
type steps struct {
	t   *testing.T
	dir string
}

func (s steps) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s steps) path(name string) string { return filepath.Join(s.dir, name) }

// write writes text over the beginning of a file, and makes it if need be.
func (s steps) write(name, text string) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_WRONLY, 0o600)
	s.must(err)
	_, err = f.WriteString(text)
	s.must(errors.Join(err, f.Close()))
}

// sync syncs a file or a directory; "." is the top.
func (s steps) sync(names ...string) {
	s.t.Helper()
	for _, name := range names {
		f, err := os.Open(s.path(name))
		s.must(err)
		s.must(errors.Join(f.Sync(), f.Close()))
	}
}

func (s steps) rename(from, to string) {
	s.t.Helper()
	s.must(os.Rename(s.path(from), s.path(to)))
}

// found are all files, with their text, and the directories.
func (s steps) found() string {
	s.t.Helper()
	var list []string
	s.must(filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == s.dir {
			return err
		}
		name := strings.TrimPrefix(path, s.dir+"/")
		if d.IsDir() {
			list = append(list, name+"/")
			return nil
		}
		text, err := os.ReadFile(path)
		list = append(list, fmt.Sprintf("%s=%s", name, text))
		return err
	}))
	return strings.Join(list, " ")
}

func TestCrashForgetsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do           func(s steps) // to a synced file "f" with the text "old text"
		before, left string        // seen before the crash, and after it
	}{
		"bytes that were not synced":    {func(s steps) { s.write("f", "new") }, "f=new text", "f=old text"},
		"bytes that were":               {func(s steps) { s.write("f", "new"); s.sync("f") }, "f=new text", "f=new text"},
		"bytes behind the end":          {func(s steps) { s.write("f", "a longer text") }, "f=a longer text", "f=old text"},
		"the size":                      {func(s steps) { s.must(os.Truncate(s.path("f"), 3)) }, "f=old", "f=old text"},
		"the size, synced":              {func(s steps) { s.must(os.Truncate(s.path("f"), 3)); s.sync("f") }, "f=old", "f=old"},
		"a sync of the directory alone": {func(s steps) { s.write("f", "new"); s.sync(".") }, "f=new text", "f=old text"},
		"a new file":                    {func(s steps) { s.write("g", "g") }, "f=old text g=g", "f=old text"},
		"a new file without its name":   {func(s steps) { s.write("g", "g"); s.sync("g") }, "f=old text g=g", "f=old text"},
		"a new name without its bytes":  {func(s steps) { s.write("g", "g"); s.sync(".") }, "f=old text g=g", "f=old text g="},
		"a new file with its name":      {func(s steps) { s.write("g", "g"); s.sync("g", ".") }, "f=old text g=g", "f=old text g=g"},
		"a rename":                      {func(s steps) { s.rename("f", "g") }, "g=old text", "f=old text"},
		"a rename, synced":              {func(s steps) { s.rename("f", "g"); s.sync(".") }, "g=old text", "g=old text"},
		"a rename over another":         {func(s steps) { s.write("g", "g"); s.sync("g"); s.rename("g", "f") }, "f=g", "f=old text"},
		"a rename before the bytes":     {func(s steps) { s.write("g", "g"); s.rename("g", "f"); s.sync(".") }, "f=g", "f="},
		"a removal":                     {func(s steps) { s.must(os.Remove(s.path("f"))) }, "", "f=old text"},
		"a removal, synced":             {func(s steps) { s.must(os.Remove(s.path("f"))); s.sync(".") }, "", ""},
		"a directory without its name":  {func(s steps) { s.must(os.Mkdir(s.path("d"), 0o700)); s.write("d/g", "g"); s.sync("d/g", "d") }, "d/ d/g=g f=old text", "f=old text"},
		"a directory with its name":     {func(s steps) { s.must(os.Mkdir(s.path("d"), 0o700)); s.write("d/g", "g"); s.sync("d/g", "d", ".") }, "d/ d/g=g f=old text", "d/ d/g=g f=old text"},
		"a directory without its files": {func(s steps) { s.must(os.Mkdir(s.path("d"), 0o700)); s.write("d/g", "g"); s.sync("d/g", ".") }, "d/ d/g=g f=old text", "d/ f=old text"},
		"a directory that was removed":  {func(s steps) { s.must(os.Mkdir(s.path("d"), 0o700)); s.sync("."); s.must(os.Remove(s.path("d"))) }, "f=old text", "d/ f=old text"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, dir := mountHere(t)
			s := steps{t, dir}
			s.write("f", "old text")
			s.sync("f", ".")
			test.do(s)
			testkit.Want(t, "before the crash", s.found(), test.before)
			fs.Crash(0)
			testkit.Want(t, "after the crash", s.found(), test.left)
			fs.Crash(1)
			testkit.Want(t, "after another one", s.found(), test.left)
		})
	}
}

// A crash that keeps everything is none.
func TestCrashKeepsAll(t *testing.T) {
	t.Parallel()
	fs, dir := mountHere(t)
	s := steps{t, dir}
	s.write("f", "a text")
	s.must(os.Mkdir(s.path("d"), 0o700))
	s.write("d/g", "g")
	s.rename("f", "h")
	s.must(os.Truncate(s.path("h"), 1))
	fs.Crash(1)
	testkit.Want(t, "after the crash", s.found(), "d/ d/g=g h=a")
}

// Each page is the old one or the new one, and the size is.
func TestCrashTears(t *testing.T) {
	t.Parallel()
	const pages = 256
	var c content
	c.write(bytes.Repeat([]byte("o"), pages*pageSize), 0)
	c.sync()
	c.write(bytes.Repeat([]byte("n"), (pages+1)*pageSize), 0)
	sizes := map[int]bool{}
	for range 64 {
		left := c.survivor(0.5)
		sizes[len(left)] = true
		seen := map[string]int{}
		for page := range slices.Chunk(left, pageSize) {
			seen[string(page[:1])]++
			if !bytes.Equal(page, bytes.Repeat(page[:1], pageSize)) {
				t.Fatal("a page is torn itself")
			}
		}
		if seen["o"] == 0 || seen["n"] == 0 || seen["o"]+seen["n"] < pages {
			t.Errorf("pages by what is in them: %v", seen)
		}
	}
	testkit.Want(t, "sizes", sizes, map[int]bool{pages * pageSize: true, (pages + 1) * pageSize: true})
}

// Of the names that were not synced the first ones are kept.
func TestCrashKeepsTheFirstNames(t *testing.T) {
	t.Parallel()
	n := names{live: entries{}, kept: entries{}}
	for i := range 9 {
		n.change(entries{fmt.Sprint(i): {}})
	}
	counts := map[int]bool{}
	for range 1000 {
		left := n.survivor(0.8)
		counts[len(left)] = true
		for i := range len(left) {
			if left[fmt.Sprint(i)] == nil {
				t.Fatalf("of %d names %d is not there", len(left), i)
			}
		}
	}
	if len(counts) != 10 {
		t.Errorf("so many names are kept: %v, want from 0 to 9", counts)
	}
}

// What is done to a file from before the crash is not done to the one that is left.
func TestSyncBehindACrashIsTooLate(t *testing.T) {
	t.Parallel()
	fs := &FS{}
	fs.root = fs.newInode(true, 0)
	f := fs.newInode(false, 0)
	fs.root.names.change(entries{"f": f})
	f.content.write([]byte("text"), 0)
	fs.sync(fs.root)
	fs.Crash(0)
	fs.sync(f)
	fs.Crash(1)
	testkit.Want(t, "what is left", string(fs.root.names.live["f"].content.live), "")
}
