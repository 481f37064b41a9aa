package template

import (
	"fmt"
	"strconv"
	"text/template/parse"

	"agentctl/handler/text"
)

// walker visits the nodes of a template in order, and gives each placeholder the
// escape of its context.
type walker struct{ depth int } // of ifs, withs and ranges around the node

// list visits nodes, the first of which begins in a context. It returns the
// context behind the last.
func (w *walker) list(l *parse.ListNode, at Context) (Context, error) {
	if l == nil {
		return at, nil
	}
	for _, n := range l.Nodes {
		var err error
		if at, err = w.node(n, at); err != nil {
			return at, err
		}
	}
	return at, nil
}

func (w *walker) node(n parse.Node, at Context) (Context, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return at.after(string(n.Text), w.depth > 0)
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return at, nil // it sets a variable, and writes nothing
		}
		return at.placeholder(n)
	case *parse.IfNode:
		return w.branch(&n.BranchNode, at)
	case *parse.WithNode:
		return w.branch(&n.BranchNode, at)
	case *parse.RangeNode:
		end, err := w.branch(&n.BranchNode, at)
		if err == nil && end != at {
			err = fmt.Errorf("%s ends %s and begins %s, and so could not come twice", text.Excerpt(n.String(), 40), end, at)
		}
		return end, err
	case *parse.CommentNode:
		return at, nil
	}
	return at, fmt.Errorf("%s: template, break and continue cannot be used here", text.Excerpt(n.String(), 40))
}

// branch visits both branches of an if, with or range. They have to end in the
// same context, for which the text behind them is escaped.
func (w *walker) branch(n *parse.BranchNode, at Context) (Context, error) {
	w.depth++
	defer func() { w.depth-- }()
	one, err := w.list(n.List, at)
	if err != nil {
		return at, err
	}
	other, err := w.list(n.ElseList, at)
	if err != nil {
		return at, err
	}
	if end, ok := one.join(other); ok {
		return end, nil
	}
	return at, fmt.Errorf("%s ends %s in one case and %s in another", text.Excerpt(n.String(), 40), one, other)
}

// escapeWith puts a function at the end of a placeholder's pipeline. The function
// also gets the pipeline's own text, for its errors.
func escapeWith(n *parse.ActionNode, function string) {
	label := n.Pipe.String()
	n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
		NodeType: parse.NodeCommand,
		Pos:      n.Pos,
		Args: []parse.Node{
			parse.NewIdentifier(function).SetPos(n.Pos),
			&parse.StringNode{NodeType: parse.NodeString, Pos: n.Pos, Quoted: strconv.Quote(label), Text: label},
		},
	})
}
