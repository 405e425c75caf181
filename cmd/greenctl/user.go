package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newUser(a *app) *cobra.Command {
	return noun("user", "People who use the API with a password", newUserCreate(a), newUserList(a), newUserPasswd(a), newUserDelete(a), newUserLogin(a), newUserLogout(a))
}

// passwordFlags say where a password comes from: never from the command line,
// which everybody on the machine can read.
type passwordFlags struct{ stdin bool }

func (p *passwordFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&p.stdin, "password-stdin", false, "read the password from the first line of standard input")
}

// ask reads a password from standard input, or from a terminal without showing it.
func (p *passwordFlags) ask(ctx context.Context, a *app, prompt string) (string, error) {
	if p.stdin {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	f, ok := a.in.(*os.File)
	if !ok || !isTerminal(a.in) {
		return "", greenhouse.Invalid("usage", "there is nobody to ask for a password").WithHint("give it with --password-stdin")
	}
	return a.hidden(ctx, f, prompt)
}

// hidden reads a line from a terminal without showing it. Ctrl-C leaves the
// terminal as it was.
func (a *app) hidden(ctx context.Context, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(a.err, prompt)
	type line struct {
		text []byte
		err  error
	}
	answer := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answer <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, state) // it ends anyway
		return "", errInterrupted
	case l := <-answer:
		fmt.Fprintln(a.err)
		if errors.Is(l.err, io.EOF) {
			return "", errInterrupted
		}
		return string(l.text), l.err
	}
}

// fresh reads a new password, twice where a person types it blindly.
func (p *passwordFlags) fresh(ctx context.Context, a *app) (string, error) {
	first, err := p.ask(ctx, a, "New password: ")
	if err != nil || p.stdin {
		return first, err
	}
	again, err := p.ask(ctx, a, "Once more: ")
	if err == nil && again != first {
		err = greenhouse.Invalid("password_mistyped", "the two are not the same; nothing was changed")
	}
	return first, err
}

func usersView(items []api.User) view {
	return view{names: func() []string { return names(items, func(x api.User) string { return x.Name }) }, table: func() table {
		t := table{columns: []string{"NAME", "ROLE", "LOGINS", "CREATED"}, empty: "there are no users"}
		for _, x := range items {
			t.rows = append(t.rows, []string{x.Name, string(x.Role), itoa(uint64(x.Logins)), clock(x.CreatedAt)})
		}
		return t
	}}
}

func newUserCreate(a *app) *cobra.Command {
	var w writeFlags
	var p passwordFlags
	var role string
	c := verb("create NAME --role ROLE", "Create a user; the password is asked for", "  greenctl user create anna --role grower", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		if api.Role(role).Rank() < 1 {
			return greenhouse.Invalid("usage", "user create needs --role").WithHint("it is viewer, operator, grower or admin")
		}
		password, err := p.fresh(ctx, a)
		if err != nil {
			return err
		}
		u, err := c.CreateUser(ctx, api.CreateUserRequest{Name: args[0], Role: api.Role(role), Password: password}, w.write())
		if err != nil {
			return err
		}
		return a.show(u, usersView([]api.User{u}))
	}))
	c.Flags().StringVar(&role, "role", "", "viewer, operator, grower or admin")
	p.add(c.Flags())
	w.addNew(c.Flags())
	return c
}

func newUserList(a *app) *cobra.Command {
	return verb("list", "List users", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := all(client.All(func(cursor string) (api.List[api.User], error) { return c.Users(ctx, client.Page{Cursor: cursor}) }))
		if err != nil {
			return err
		}
		return a.show(api.List[api.User]{Items: items}, usersView(items))
	}))
}

func newUserPasswd(a *app) *cobra.Command {
	var w writeFlags
	var p passwordFlags
	var own bool
	c := verb("passwd NAME", "Change a password and end all logins under the one before", "  greenctl user passwd anna\n  greenctl user passwd anna --own   asks for the present one too", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		var r api.PasswordRequest
		var err error
		if own {
			if p.stdin {
				return greenhouse.Invalid("usage", "--own asks for two passwords: it needs a terminal")
			}
			if r.Old, err = p.ask(ctx, a, "Present password: "); err != nil {
				return err
			}
		}
		if r.Password, err = p.fresh(ctx, a); err != nil {
			return err
		}
		u, err := c.SetPassword(ctx, args[0], r, w.write())
		if err != nil {
			return err
		}
		return a.show(u, usersView([]api.User{u}))
	}))
	c.Flags().BoolVar(&own, "own", false, "it is one's own password, and one is no admin")
	p.add(c.Flags())
	w.add(c.Flags())
	return c
}

func newUserDelete(a *app) *cobra.Command {
	return a.deleteVerb("delete NAME", "Delete a user and end their logins", "delete user ", func(ctx context.Context, c *client.Client, name string, w client.Write) error {
		return c.DeleteUser(ctx, name, w)
	})
}

func newUserLogin(a *app) *cobra.Command {
	var p passwordFlags
	var window time.Duration
	c := verb("login NAME", "Log in with a password; the context keeps the token", "  greenctl --context farm user login anna", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		forS, err := seconds("for", window, longestLogin)
		if err != nil {
			return err
		}
		password, err := p.ask(ctx, a, "Password of "+args[0]+": ")
		if err != nil {
			return err
		}
		l, err := c.Login(ctx, api.LoginRequest{Name: args[0], Password: password, ForS: int64(forS)})
		if err != nil {
			return err
		}
		return a.keepLogin(l)
	}))
	spanVar(c.Flags(), &window, "for", 12*time.Hour, "how long the login is good, at most 30d")
	p.add(c.Flags())
	return c
}

// longestLogin is how long a login is good at most.
const longestLogin = 30 * 24 * time.Hour

// keepLogin puts the token into the context in force, or hands it over where there is none.
func (a *app) keepLogin(l api.Login) error {
	name := a.contextName()
	if name == "" || a.output != "" && a.output != "table" && a.output != "wide" {
		return a.show(l, view{names: func() []string { return []string{l.User} }, table: func() table {
			return table{columns: []string{"USER", "ROLE", "EXPIRES", "TOKEN"}, rows: [][]string{{l.User, string(l.Role), clock(l.ExpiresAt), l.Token}}}
		}})
	}
	err := a.saveContexts(func(_, contexts map[string]any) {
		if conf, ok := contexts[name].(map[string]any); ok {
			conf["token"] = l.Token
		}
	})
	if err != nil {
		return err
	}
	return a.done(l.User, "%s is logged in as %s until %s; context %s keeps the token", l.User, l.Role, clock(l.ExpiresAt), name)
}

func newUserLogout(a *app) *cobra.Command {
	return verb("logout", "End the login in use and forget its token", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := c.Logout(ctx); err != nil {
			return err
		}
		if name := a.contextName(); name != "" {
			err := a.saveContexts(func(_, contexts map[string]any) {
				if conf, ok := contexts[name].(map[string]any); ok {
					delete(conf, "token")
				}
			})
			if err != nil {
				return err
			}
		}
		return a.done("logout", "logged out")
	}))
}
