package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/shared"
)

// fill gives the SDK's parameters the values of a JSON object, by the names that they have in requests.
func fill(params any, accountID string, parameters json.RawMessage) {
	set(reflect.ValueOf(params).Elem().FieldByName("AccountID"), quoted(accountID))
	if len(parameters) > 0 {
		fillStruct(reflect.ValueOf(params).Elem(), parameters)
	}
}

func fillStruct(target reflect.Value, text json.RawMessage) {
	var members map[string]json.RawMessage
	decode(text, &members)
	for name, value := range members {
		field := named(target, name)
		if !field.IsValid() {
			fatal(fmt.Errorf("%s has no parameter %s", target.Type(), name))
		}
		set(field, value)
	}
}

func named(target reflect.Value, name string) reflect.Value {
	for index := range target.NumField() {
		tag := target.Type().Field(index).Tag
		if tag.Get("query") == name || tag.Get("json") == name {
			return target.Field(index)
		}
	}
	return reflect.Value{}
}

// set does what the SDK's F() and Null() do, which are in its root package.
func set(field reflect.Value, text json.RawMessage) {
	field.FieldByName("Present").SetBool(true)
	if string(text) == "null" {
		field.FieldByName("Null").SetBool(true)
		return
	}
	setValue(field.FieldByName("Value"), text)
}

func setValue(target reflect.Value, text json.RawMessage) {
	switch target.Kind() {
	case reflect.Slice:
		var items []json.RawMessage
		decode(text, &items)
		target.Set(reflect.MakeSlice(target.Type(), len(items), len(items)))
		for index, item := range items {
			setValue(target.Index(index), item)
		}
	case reflect.Map:
		var members map[string]json.RawMessage
		decode(text, &members)
		target.Set(reflect.MakeMap(target.Type()))
		for name, member := range members {
			value := reflect.New(target.Type().Elem()).Elem()
			setValue(value, member)
			target.SetMapIndex(reflect.ValueOf(name), value)
		}
	case reflect.Interface:
		if value := union(text); value != nil {
			target.Set(reflect.ValueOf(value))
		}
	case reflect.Struct:
		if instant, ok := target.Addr().Interface().(*time.Time); ok {
			*instant = parseTime(text)
			return
		}
		fillStruct(target, text)
	default:
		decode(text, target.Addr().Interface())
	}
}

// union is a scalar as the SDK's unions have it; null is nil.
func union(text json.RawMessage) any {
	var value any
	decode(text, &value)
	switch value := value.(type) {
	case string:
		return shared.UnionString(value)
	case float64:
		return shared.UnionFloat(value)
	case bool:
		return shared.UnionBool(value)
	default:
		return nil
	}
}

// parseTime takes a time without an offset as one in UTC, since Go has no such times.
func parseTime(text json.RawMessage) time.Time {
	var value string
	decode(text, &value)
	instant, err := time.Parse(time.RFC3339, value)
	if err != nil {
		instant, err = time.Parse("2006-01-02T15:04:05", value)
	}
	if err != nil {
		fatal(err)
	}
	return instant
}

func quoted(text string) json.RawMessage {
	value, err := json.Marshal(text)
	if err != nil {
		fatal(err)
	}
	return value
}

func decode(text json.RawMessage, target any) {
	if err := json.Unmarshal(text, target); err != nil {
		fatal(fmt.Errorf("%s: %w", text, err))
	}
}
