//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of README.
type block struct {
	line int    // of its first fence
	lang string // behind the fence
	text string
	skip string // why it is not run; "" where it is to be
}

// notRun is the comment in the line before a block that no test runs.
var notRun = regexp.MustCompile(`^<!-- not run here: (.+) -->$`)

// blocks are README's fenced blocks.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	data, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	before := ""
	for i, line := range strings.Split(string(data), "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, lang: lang}
			if m := notRun.FindStringSubmatch(before); m != nil {
				open.skip = m[1]
			}
		case fence:
			open.text = strings.TrimSuffix(open.text, "\n")
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
		before = strings.TrimSpace(line)
	}
	if open != nil {
		t.Errorf("README.md:%d: the block has no end", open.line)
	}
	return all
}

// commandLine begins a line that a reader would type.
var commandLine = regexp.MustCompile(`^(sudo +|[A-Z_]+=\S+ +)*(agentctl|serf|go|scripts/\S+|\./\S+|curl|docker|docker-compose|kubectl|helm|mkdir|ln|cp|apt|apt-get|dpkg|rpm|systemctl|journalctl|install|source|kong|git|cd|for|openssl)( |$)`)

// isCommand tells whether a block is one of commands, and not of output or of a
// file's contents.
func (b block) isCommand() bool {
	if b.lang != "" && b.lang != "sh" && b.lang != "bash" && b.lang != "console" {
		return false
	}
	for line := range strings.SplitSeq(b.text, "\n") {
		if !strings.HasPrefix(line, "#") {
			return commandLine.MatchString(line)
		}
	}
	return false
}

// Each block of commands is run by TestReadmeCommands, as it is printed, or says
// why not.
func TestReadmeCommandsAreRunOrSayWhyNot(t *testing.T) {
	t.Parallel()
	printed := map[string]bool{}
	for _, b := range blocks(t) {
		printed[b.text] = true
		_, run := readmeRuns[b.text]
		where := fmt.Sprintf("README.md:%d: the block\n%s\n", b.line, b.text)
		switch {
		case run && b.skip != "":
			t.Errorf("%sis in readmeRuns, and its comment says that it is not run: remove the comment", where)
		case b.isCommand() && !run && b.skip == "":
			t.Errorf("%sis run by no test. Add it to readmeRuns in cmd/agentctl/readmeruns_test.go, with what its output has to have; or, where it cannot be run by a test, put this line before it, with the reason:\n<!-- not run here: REASON -->", where)
		case !b.isCommand() && b.skip != "":
			t.Errorf("%shas a comment that says why it is not run, and begins with no command that commandLine in readme_test.go knows: add the command there", where)
		}
	}
	for text := range readmeRuns {
		if !printed[text] {
			t.Errorf("readmeRuns has a block that README.md has not, or not any more: change it there, too:\n%s", text)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#+ +(.*)$`)
	// notInAnchor is what does not stay of a heading in its anchor.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	code        = regexp.MustCompile("`[^`]*`")
)

// Links lead somewhere: anchors to a heading, paths to a file. So do the paths
// that are named in `code`.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, b := range blocks(t) {
		text = strings.Replace(text, b.text, "", 1)
	}
	anchors := map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			anchor := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
			if anchors[anchor] {
				t.Errorf("README.md has two headings of the anchor #%s", anchor)
			}
			anchors[anchor] = true
		}
	}
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(readmePath), path))
		return err == nil
	}
	links := 0
	for n, line := range strings.Split(string(data), "\n") {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			links++
			to := m[1]
			switch {
			case strings.HasPrefix(to, "https://"):
			case strings.HasPrefix(to, "#"):
				if !anchors[to[1:]] {
					t.Errorf("README.md:%d: there is no heading %s", n+1, to)
				}
			case !exists(to):
				t.Errorf("README.md:%d: there is no file %s", n+1, to)
			}
		}
		for _, quoted := range code.FindAllString(line, -1) {
			path := strings.Trim(quoted, "`")
			for _, folder := range []string{"agent/", "handler/", "rpcclient/", "cmd/", "scripts/", "testdata/"} {
				if strings.HasPrefix(path, folder) && !strings.ContainsAny(path, " *=") && !exists(path) {
					t.Errorf("README.md:%d: there is no %s", n+1, path)
				}
			}
		}
	}
	if links == 0 {
		t.Error("no link was found")
	}
}
