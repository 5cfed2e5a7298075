// Makes calls with Cloudflare's SDK for Go, as its users do, and says what came of each. Judged is elsewhere.
//
// In, on standard input: {base_url, account_id, gateway_id, auth, calls: [{operation, id, parameters, auth}]}; auth is {token}
// or {email, key}, and a call may have its own. Out: an array of one outcome per call, see perform. Retries are off, so that
// no failure is smoothed over.
//
// Only the SDK's package of this API is used: its root compiles for two minutes, since it brings in every other API.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"github.com/cloudflare/cloudflare-go/v6/ai_gateway"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/shared"
)

type auth struct{ Token, Email, Key string }

type call struct {
	Operation  string
	ID         string
	Parameters json.RawMessage
	Auth       *auth
}

type task struct {
	BaseURL   string `json:"base_url"`
	AccountID string `json:"account_id"`
	GatewayID string `json:"gateway_id"`
	Auth      auth
	Calls     []call
}

type outcome map[string]any

func main() {
	var task task
	if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
		fatal(err)
	}
	outcomes := make([]outcome, len(task.Calls))
	for index, call := range task.Calls {
		found, err := task.perform(call)
		if err != nil {
			found = outcome{"error": failure(err)}
		}
		outcomes[index] = found
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		fatal(err)
	}
}

func (t task) logs(call call) *ai_gateway.LogService {
	credentials := t.Auth
	if call.Auth != nil {
		credentials = *call.Auth
	}
	options := []option.RequestOption{option.WithBaseURL(t.BaseURL), option.WithMaxRetries(0)}
	if credentials.Token != "" {
		options = append(options, option.WithAPIToken(credentials.Token))
	} else {
		options = append(options, option.WithAPIEmail(credentials.Email), option.WithAPIKey(credentials.Key))
	}
	return ai_gateway.NewAIGatewayService(options...).Logs
}

func (t task) perform(call call) (outcome, error) {
	ctx, logs := context.Background(), t.logs(call)
	switch call.Operation {
	case "list": // every page
		var query ai_gateway.LogListParams
		fill(&query, t.AccountID, call.Parameters)
		ids, pages := []string{}, logs.ListAutoPaging(ctx, t.GatewayID, query)
		for pages.Next() {
			ids = append(ids, pages.Current().ID)
		}
		return outcome{"ids": ids}, pages.Err()
	case "page":
		var query ai_gateway.LogListParams
		fill(&query, t.AccountID, call.Parameters)
		page, err := logs.List(ctx, t.GatewayID, query)
		if err != nil {
			return nil, err
		}
		ids := []string{}
		for _, entry := range page.Result {
			ids = append(ids, entry.ID)
		}
		return outcome{"ids": ids}, nil
	case "get":
		var query ai_gateway.LogGetParams
		fill(&query, t.AccountID, nil)
		entry, err := logs.Get(ctx, t.GatewayID, call.ID, query)
		return outcome{"entry": entry}, err
	case "request":
		var query ai_gateway.LogRequestParams
		fill(&query, t.AccountID, nil)
		body, err := logs.Request(ctx, t.GatewayID, call.ID, query)
		return bodyOf(body), err
	case "response":
		var query ai_gateway.LogResponseParams
		fill(&query, t.AccountID, nil)
		body, err := logs.Response(ctx, t.GatewayID, call.ID, query)
		return bodyOf(body), err
	case "edit":
		var params ai_gateway.LogEditParams
		fill(&params, t.AccountID, call.Parameters)
		_, err := logs.Edit(ctx, t.GatewayID, call.ID, params)
		return outcome{}, err
	case "delete":
		var query ai_gateway.LogDeleteParams
		fill(&query, t.AccountID, call.Parameters)
		deleted, err := logs.Delete(ctx, t.GatewayID, query)
		if err != nil {
			return nil, err
		}
		return outcome{"success": deleted.Success}, nil
	default:
		return nil, fmt.Errorf("there is no operation %s", call.Operation)
	}
}

func bodyOf(body *any) outcome {
	if body == nil {
		return nil
	}
	return outcome{"body": *body}
}

// What the SDK says of an error. Its type is internal; users have it under a name of the root package.
func failure(err error) outcome {
	value := reflect.Indirect(reflect.ValueOf(err))
	if value.Kind() != reflect.Struct || !value.FieldByName("StatusCode").IsValid() {
		fatal(err)
	}
	codes := []int64{}
	for _, one := range value.FieldByName("Errors").Interface().([]shared.ErrorData) {
		codes = append(codes, one.Code)
	}
	return outcome{"status": value.FieldByName("StatusCode").Int(), "codes": codes}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
