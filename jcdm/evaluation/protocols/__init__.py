"""The field's evaluation protocols on folders of pictures, written out choice by choice."""
