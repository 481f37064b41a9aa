package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"agentctl/handler/target"
)

// shellSigns mean more to a shell than themselves: which program a word with one of
// them names, only the shell can tell.
const shellSigns = "'\"$`;|&<>()*?[]{}#~\\=!"

// shellOwn are the commands that a shell has of its own, and the words that begin a
// sentence of its language.
var shellOwn = strings.Fields(`. : alias bg break case cd command continue echo eval exec exit export false fg for getopts
	hash if jobs kill local printf pwd read readonly return set shift source test time times trap true type ulimit umask
	unalias unset until wait while`)

// interpreters are programs whose first argument is most often the script to run.
var interpreters = strings.Fields("sh bash dash ash ksh zsh perl ruby node lua luajit resty python python2 python3 php")

// brokenCommand says why the command of an event handler is going to fail; "" if it
// looks as if it would run. Each event runs it anew, so it is no more than a warning:
// the file may come later.
func brokenCommand(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 || runtime.GOOS == "windows" {
		return ""
	}
	program := words[0]
	if strings.ContainsAny(program, shellSigns) || slices.Contains(shellOwn, program) {
		return ""
	}
	if why := brokenProgram(program); why != "" {
		return why
	}
	name := program[strings.LastIndex(program, "/")+1:]
	if len(words) < 2 || !slices.Contains(interpreters, name) {
		return ""
	}
	script := strings.TrimRight(words[1], ";")
	if strings.HasPrefix(script, "-") || strings.ContainsAny(script, shellSigns) {
		return ""
	}
	if _, err := os.Stat(script); errors.Is(err, fs.ErrNotExist) {
		return noFile(script)
	}
	return ""
}

// brokenProgram looks at the first word of a command.
func brokenProgram(program string) string {
	if !strings.Contains(program, "/") {
		if _, err := exec.LookPath(program); errors.Is(err, exec.ErrNotFound) {
			return fmt.Sprintf("there is no program %q in the folders of PATH; a file needs its path, as in /etc/agentctl/%[1]s", program)
		}
		return ""
	}
	info, err := os.Stat(program)
	switch {
	case err == nil && info.IsDir():
		return fmt.Sprintf("%s is a folder: name the script in it", program)
	case errors.Is(err, fs.ErrNotExist):
		why := noFile(program)
		if host, _, _ := strings.Cut(program, "/"); strings.Contains(strings.Trim(host, "."), ".") {
			why += fmt.Sprintf("; to post to it as a URL, write http://%s", program)
		}
		return why
	case err == nil && info.Mode()&0o111 == 0:
		return fmt.Sprintf("the script %s may not be run: make it executable with chmod +x", program)
	}
	return ""
}

// noFile says that a script is not there.
func noFile(script string) string { return fmt.Sprintf("there is no script %s", script) }

// noCommand says what is wrong with an event handler that is surely not meant as a
// command, although serf would take it for one.
func noCommand(what string) error {
	info, err := os.Stat(what)
	switch {
	case err == nil && info.Mode()&fs.ModeSocket != 0:
		return fmt.Errorf("%s is a socket: to post to it, write unix:%[1]s", what)
	case err == nil || !target.LooksLikeURL(what):
		return nil
	}
	_, err = target.AddScheme(what)
	return err
}
