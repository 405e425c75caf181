package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newAccount(a *app) *cobra.Command {
	return noun("account", "MQTT logins for bridges, Home Assistant, Node-RED", newAccountCreate(a), newAccountList(a), newAccountDelete(a))
}

func newAccountCreate(a *app) *cobra.Command {
	var w writeFlags
	var r api.CreateAccountRequest
	c := verb("create NAME", "Create an MQTT login and get its secret", "  greenctl account create grafana --subscribe 'gh/n/+/telemetry'", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		r.Name = args[0]
		acc, err := c.CreateAccount(ctx, r, w.write())
		if err != nil {
			return err
		}
		for _, warning := range acc.Warnings {
			a.note("warning: %s", warning)
		}
		return a.show(acc, accountsView([]api.Account{acc}))
	}))
	c.Flags().StringArrayVar(&r.Publish, "publish", nil, "MQTT filter it may publish to; may be given again")
	c.Flags().StringArrayVar(&r.Subscribe, "subscribe", nil, "MQTT filter it may subscribe to; may be given again")
	w.addNew(c.Flags())
	return c
}

func accountsView(items []api.Account) view {
	return view{names: func() []string { return names(items, func(x api.Account) string { return x.Name }) }, table: func() table {
		t := table{columns: []string{"NAME", "PUBLISH", "SUBSCRIBE", "CREATED", "SECRET", "VERSION"}, wide: 1, empty: "there are no accounts"}
		for _, x := range items {
			t.rows = append(t.rows, []string{x.Name, strings.Join(x.Publish, " "), strings.Join(x.Subscribe, " "), clock(x.CreatedAt), x.Secret, itoa(x.Version)})
		}
		return t
	}}
}

func newAccountList(a *app) *cobra.Command {
	return verb("list", "List MQTT logins", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := all(client.All(func(cursor string) (api.List[api.Account], error) {
			return c.Accounts(ctx, client.Page{Cursor: cursor})
		}))
		if err != nil {
			return err
		}
		return a.show(api.List[api.Account]{Items: items}, accountsView(items))
	}))
}

func newAccountDelete(a *app) *cobra.Command {
	return a.deleteVerb("delete NAME", "Delete an MQTT login and close its session", "delete account ", func(ctx context.Context, c *client.Client, name string, w client.Write) error {
		return c.DeleteAccount(ctx, name, w)
	})
}

// deleteVerb is a verb that removes one named thing after asking.
func (a *app) deleteVerb(use, short, question string, do func(context.Context, *client.Client, string, client.Write) error) *cobra.Command {
	var w writeFlags
	var yes bool
	c := verb(use, short, "", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		if err := a.confirm(ctx, yes, question+args[0]); err != nil {
			return err
		}
		if err := do(ctx, c, args[0], w.write()); err != nil {
			return explainStale(err, nil, nil)
		}
		return a.done(args[0], "%s is deleted", args[0])
	}))
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	w.add(c.Flags())
	return c
}

func newToken(a *app) *cobra.Command {
	return noun("token", "Credentials for the API over TLS", newTokenCreate(a), newTokenList(a), newTokenDelete(a))
}

func newTokenCreate(a *app) *cobra.Command {
	var w writeFlags
	var role string
	var window time.Duration
	c := verb("create NAME --role ROLE", "Create an API token; it is shown once", "", args("NAME"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		r := api.Role(role)
		if r == api.RoleNone {
			return greenhouse.Invalid("usage", "token create needs --role").WithHint("it is viewer, operator, grower or admin")
		}
		if r.Rank() < 0 {
			return greenhouse.Invalid("usage", "role %q is unknown", role).WithHint("it is viewer, operator, grower or admin")
		}
		forS, err := seconds("for", window, longestToken)
		if err != nil {
			return err
		}
		t, err := c.CreateToken(ctx, api.CreateTokenRequest{Name: args[0], Role: r, ForS: int64(forS)}, w.write())
		if err != nil {
			return err
		}
		return a.show(t, a.tokensView([]api.Token{t}))
	}))
	c.Flags().StringVar(&role, "role", "", "viewer, operator, grower or admin")
	spanVar(c.Flags(), &window, "for", 90*24*time.Hour, "how long it is good")
	w.addNew(c.Flags())
	return c
}

// longestToken is how long an API token is good at most.
const longestToken = 10 * 365 * 24 * time.Hour

func (a *app) tokensView(items []api.Token) view {
	return view{names: func() []string { return names(items, func(x api.Token) string { return x.Name }) }, table: func() table {
		t := table{columns: []string{"NAME", "ROLE", "EXPIRES", "USED", "SECRET", "VERSION"}, wide: 1, empty: "there are no tokens"}
		for _, x := range items {
			t.rows = append(t.rows, []string{x.Name, string(x.Role), clock(x.ExpiresAt), ago(x.LastUsed, a.now()), x.Secret, itoa(x.Version)})
		}
		return t
	}}
}

func newTokenList(a *app) *cobra.Command {
	return verb("list", "List API tokens", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := all(client.All(func(cursor string) (api.List[api.Token], error) { return c.Tokens(ctx, client.Page{Cursor: cursor}) }))
		if err != nil {
			return err
		}
		return a.show(api.List[api.Token]{Items: items}, a.tokensView(items))
	}))
}

func newTokenDelete(a *app) *cobra.Command {
	return a.deleteVerb("delete NAME", "Revoke an API token", "revoke token ", func(ctx context.Context, c *client.Client, name string, w client.Write) error {
		return c.DeleteToken(ctx, name, w)
	})
}
