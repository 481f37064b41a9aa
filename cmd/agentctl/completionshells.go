package main

import (
	"fmt"
	"io"
	"strings"
)

// writeBash writes completions for bash, from 3.2 on. They need no package.
func writeBash(w io.Writer, all []commandHelp) error {
	var names, words, values, after strings.Builder
	for i := range all {
		h := &all[i]
		fmt.Fprintf(&names, " %s", h.name)
		offered := h.words
		for _, f := range h.flags {
			switch k := f.kind(); k {
			case noValue:
				offered = append(offered, "-"+f.name)
				continue
			case oneOf:
				fmt.Fprintf(&values, "        %s:-%s) words='%s' ;;\n", h.name, f.name, strings.Join(f.values(), " "))
			case aFile, aDir:
				fmt.Fprintf(&values, "        %s:-%s) paths=%s ;;\n", h.name, f.name, map[kind]string{aFile: "-f", aDir: "-d"}[k])
			case fromAgent:
				fmt.Fprintf(&values, "        %s:-%s) ask=%s ;;\n", h.name, f.name, f.ask())
			}
			offered = append(offered, "-"+f.name+"=")
		}
		if word := h.idAfter(); word != "" {
			fmt.Fprintf(&after, "        %s:%s:[!-]*|%s:%s:) ask=%s ;;\n", h.name, word, h.name, word, askEvents)
		}
		fmt.Fprintf(&words, "        %s) words='%s' ;;\n", h.name, strings.Join(offered, " "))
	}
	_, err := fmt.Fprintf(w, `# bash completion for agentctl, made by "agentctl completion bash".
_agentctl() {
    local IFS=$' \n' cur=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD flag= words= paths= ask= begun value
    COMPREPLY=()
    # Bash takes -flag=value for three words, and a:b too.
    while ((at > 2)) && [[ $cur == :* || ${COMP_WORDS[at-1]} == : ]]; do
        ((at--))
        cur=${COMP_WORDS[at]}$cur
    done
    if [[ $cur == = ]]; then
        flag=${COMP_WORDS[at-1]} cur=
    elif ((at > 2)) && [[ ${COMP_WORDS[at-1]} == = ]]; then
        flag=${COMP_WORDS[at-2]}
    fi
    if ((COMP_CWORD == 1)); then
        words='%s'
    elif [[ -n $flag ]]; then
        case ${COMP_WORDS[1]}:$flag in
%s        esac
    else
        case ${COMP_WORDS[1]} in
%s        esac
        ((COMP_CWORD > 2)) && case ${COMP_WORDS[1]}:${COMP_WORDS[2]}:$cur in
%s        esac
    fi
    if [[ -n $ask ]]; then
        begun=${cur%%"${cur##*:}"} # which bash does not replace
        while read -r value; do
            [[ $value == "$cur"* ]] && COMPREPLY+=("${value#"$begun"}")
        done < <(agentctl completion -values=$ask 2>/dev/null)
        return
    fi
    if [[ -n $paths ]]; then
        compopt -o filenames 2>/dev/null
        IFS=$'\n'
        COMPREPLY=($(compgen $paths -- "$cur"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _agentctl agentctl
`, strings.TrimSpace(names.String()), values.String(), words.String(), after.String())
	return err
}

// writeFish writes completions for fish.
func writeFish(w io.Writer, all []commandHelp) error {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	var b strings.Builder
	b.WriteString(`# fish completion for agentctl, made by "agentctl completion fish".
function __agentctl_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end
complete -c agentctl -f
`)
	for i := range all {
		h := &all[i]
		in := fmt.Sprintf("complete -c agentctl -n '__agentctl_in %s'", h.name)
		fmt.Fprintf(&b, "complete -c agentctl -n __fish_use_subcommand -a %s -d %s\n", h.name, quote(h.synopsis))
		for _, word := range h.words {
			fmt.Fprintf(&b, "complete -c agentctl -n '__agentctl_in %s; and not __fish_seen_subcommand_from %s' -a %s\n", h.name, strings.Join(h.words, " "), word)
		}
		for _, f := range h.flags {
			fmt.Fprintf(&b, "%s -o %s -d %s", in, f.name, quote(f.brief()))
			switch f.kind() {
			case oneOf:
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.values(), " ")))
			case aFile:
				b.WriteString(" -r -F")
			case aDir:
				b.WriteString(" -x -a '(__fish_complete_directories)'")
			case anyValue:
				b.WriteString(" -x")
			case fromAgent:
				fmt.Fprintf(&b, " -x -a '(agentctl completion -values=%s 2>/dev/null)'", f.ask())
			}
			b.WriteString("\n")
		}
		if word := h.idAfter(); word != "" {
			fmt.Fprintf(&b, "complete -c agentctl -n '__agentctl_in %s; and __fish_seen_subcommand_from %s' -a '(agentctl completion -values=%s 2>/dev/null)'\n", h.name, word, askEvents)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeZsh writes completions for zsh, to be sourced or put into $fpath.
func writeZsh(w io.Writer, all []commandHelp) error {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, `'`, `'\''`) + "'" }
	plain := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `[`, `\[`, `]`, `\]`).Replace
	var names, cases strings.Builder
	for i := range all {
		h := &all[i]
		fmt.Fprintf(&names, "    %s\n", quote(h.name+":"+plain(h.synopsis)))
		specs := []string{}
		if len(h.words) > 0 {
			specs = append(specs, quote("1:word:("+strings.Join(h.words, " ")+")"))
		}
		if h.idAfter() != "" {
			specs = append(specs, quote("2:event: _agentctl_ask "+askEvents))
		}
		for _, f := range h.flags {
			value := map[kind]string{
				noValue: "", anyValue: "=", oneOf: "=", aFile: "=", aDir: "=", fromAgent: "=",
			}[f.kind()]
			spec := "*-" + f.name + value + "[" + plain(f.brief()) + "]"
			switch f.kind() {
			case oneOf:
				spec += ":value:(" + strings.Join(f.values(), " ") + ")"
			case aFile:
				spec += ":file:_files"
			case aDir:
				spec += ":folder:_files -/"
			case anyValue:
				spec += ":" + plain(f.arg) + ": "
			case fromAgent:
				spec += ":value: _agentctl_ask " + f.ask()
			}
			specs = append(specs, quote(spec))
		}
		if len(specs) > 0 {
			fmt.Fprintf(&cases, "    %s) _arguments \\\n      %s ;;\n", h.name, strings.Join(specs, " \\\n      "))
		}
	}
	_, err := fmt.Fprintf(w, `#compdef agentctl
# zsh completion for agentctl, made by "agentctl completion zsh".
_agentctl_ask() {
  local -a values
  values=(${(f)"$(agentctl completion -values=$1 2>/dev/null)"})
  compadd -a values
}
_agentctl() {
  local -a commands
  commands=(
%s  )
  if ((CURRENT == 2)); then
    _describe -t commands 'agentctl command' commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
%s  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _agentctl "$@"
else
  compdef _agentctl agentctl
fi
`, names.String(), cases.String())
	return err
}
